"""Runs a program over octets and fills the flat array: plain Python that numba compiles as it stands.

The octets hold the first wrong bit or none: what is refused here is explained by `trace`, step by step. `state` is AT, LIMIT
(bits), VALUES, SIDE, NOTED (how full each buffer is), ERROR. Only the canonical form passes. Source: ITU-T X.691 (02/2021).
"""
from __future__ import annotations

from v2x.codecs.bits import LENGTH_LIMIT, MOST_ADDITIONS
from v2x.codecs.program import (
    ADDITION,
    ADDITIONS,
    BITS,
    CHOICE,
    CLOSE,
    COUNT,
    END,
    GROUP,
    IF,
    JUMP,
    KEEP,
    LAST_VALUE,
    LOOP,
    MARK,
    NAME,
    NOT,
    NUMBER,
    NUMBER_BITS,
    OCTETS,
    OPEN,
    PRESENCE,
    REST,
    ROW,
    RULE,
    SELECT,
    STRIDE,
    STRING,
    TRIANGLE,
    UNBOUNDED,
    WIDE,
)

AT, LIMIT, VALUES, SIDE, NOTED, ERROR = 0, 1, 2, 3, 4, 5
STATE_SIZE = 6
FINE, WRONG, FULL = 0, 1, 2  # FULL: a buffer is too small, to be tried again with larger ones


def read(steps, table, data, state, values, side, noted, registers):
    """Run the program; state[ERROR] tells how it ended. The buffers hold what state says they do."""
    at = 0
    while state[ERROR] == FINE and steps[at] != END:
        step = steps[at]
        if step == NUMBER:
            offset = take(data, state, steps[at + 1])
            if offset > steps[at + 2]:
                state[ERROR] = WRONG
            put(values, state, offset + steps[at + 3])
            registers[steps[at + 4]] = offset + steps[at + 3]
            at += STRIDE
        elif step <= LAST_VALUE:
            read_value(steps, at, data, state, values, side)
            at += STRIDE
        elif step == IF:
            at = at + STRIDE if registers[steps[at + 1]] & steps[at + 2] else steps[at + 3]
        elif step == LOOP:
            left = registers[steps[at + 1]]
            registers[steps[at + 1]] = left - 1
            at = at + STRIDE if left else steps[at + 2]
        elif step == JUMP:
            at = steps[at + 1]
        elif step == MARK:
            noted[registers[steps[at + 1]] + steps[at + 2]] = state[VALUES]
            at += STRIDE
        elif step == CHOICE:
            at = read_choice(steps, at, table, data, state, values)
        elif step == SELECT:
            key = registers[steps[at + 1]] - steps[at + 3]
            at = table[steps[at + 2] + key] if 0 <= key < steps[at + 4] else steps[at + 5]
        elif step == ADDITION:
            base = registers[steps[at + 1]]
            there = steps[at + 2] < values[base] and values[base + 1 + steps[at + 2]] == 1
            at = at + STRIDE if there else steps[at + 3]
        else:
            read_structure(steps, at, table, data, state, values, side, noted, registers)
            at += STRIDE
    if state[ERROR] == FINE:
        finish(data, state, 0)


def take(data, state, width):
    """The next bits as a number, at most NUMBER_BITS of them."""
    at = state[AT]
    end = at + width
    if end > state[LIMIT]:
        state[ERROR] = WRONG
        return 0
    state[AT] = end
    number = 0
    last = end + 7 >> 3
    for place in range(at >> 3, last):
        number = number << 8 | data[place]
    return number >> (8 * last - end) & ((1 << width) - 1)


def put(values, state, value):
    """Append to the flat array."""
    if state[VALUES] >= len(values):
        state[ERROR] = FULL if state[ERROR] == FINE else state[ERROR]
        return
    values[state[VALUES]] = value
    state[VALUES] += 1


def take_length(data, state):
    """A length determinant in its shortest form (X.691, 11.9)."""
    length = take(data, state, 8)
    if length < 128:
        return length
    length = (length & 0x7F) << 8 | take(data, state, 8)
    if length >= LENGTH_LIMIT or length < 128:
        state[ERROR] = WRONG
    return length


def take_string(data, state, values, side, count, bits, first, last):
    """Characters into the side buffer, their place and number into the flat array."""
    if state[ERROR] != FINE:
        return
    if state[AT] + count * bits > state[LIMIT]:
        state[ERROR] = WRONG
        return
    begin = state[SIDE]
    if begin + count > len(side):
        state[ERROR] = FULL
        return
    for place in range(begin, begin + count):
        code = take(data, state, bits)
        if code < first or code > last:
            state[ERROR] = WRONG
        side[place] = code
    state[SIDE] = begin + count
    put(values, state, begin)
    put(values, state, count)


def read_value(steps, at, data, state, values, side):
    """A step that reads one value other than a number of fixed width."""
    step = steps[at]
    if step == OCTETS:
        take_string(data, state, values, side, take_length(data, state), 8, 0, 255)
    elif step == STRING:
        count = read_count(steps, at, data, state)
        take_string(data, state, values, side, count, steps[at + 5], steps[at + 6], steps[at + 7])
    elif step == BITS:
        read_bits(steps[at + 1], data, state, values, side)
    elif step == WIDE:
        put(values, state, read_wide(steps, at, data, state))
    elif step == NAME:
        if take(data, state, 1):
            if take(data, state, 1):
                state[ERROR] = WRONG
            put(values, state, steps[at + 2] + 1 + take(data, state, 6))
        else:
            place = take(data, state, steps[at + 1])
            if place > steps[at + 2]:
                state[ERROR] = WRONG
            put(values, state, place)


def read_wide(steps, at, data, state):
    """A number with an extension bit: within its range, or in the fewest octets that hold it (X.691, 13.1)."""
    low, span = steps[at + 3], steps[at + 2]
    if not take(data, state, 1):
        offset = take(data, state, steps[at + 1])
        if offset > span:
            state[ERROR] = WRONG
        return offset + low
    count = take_length(data, state)
    if count < 1 or count > NUMBER_BITS // 8:
        state[ERROR] = WRONG
        return 0
    number = take(data, state, 8 * count)
    if number >> (8 * count - 1):
        number -= 1 << 8 * count
    half = 1 << (8 * count - 9) if count > 1 else 0
    if low <= number <= low + span or (count > 1 and -half <= number < half):
        state[ERROR] = WRONG
    return number


def read_bits(size, data, state, values, side):
    """An extensible bit string: its size, then its number, or its place in the side buffer where it is too long for one."""
    if take(data, state, 1):
        plain = size
        size = take_length(data, state)
        if size == plain or state[AT] + size > state[LIMIT]:
            state[ERROR] = WRONG
            return
    put(values, state, size)
    if size <= NUMBER_BITS:
        put(values, state, take(data, state, size))
        return
    begin = state[SIDE]
    octets = size + 7 >> 3
    if begin + octets > len(side):
        state[ERROR] = FULL
        return
    for place in range(begin, begin + octets):
        width = min(8, size - 8 * (place - begin))
        side[place] = take(data, state, width) << (8 - width)
    state[SIDE] = begin + octets
    put(values, state, begin)


def read_count(steps, at, data, state):
    """A count in its range or, behind an extension bit, outside of it (X.691, 20 and 17)."""
    low, span = steps[at + 2], steps[at + 3]
    if steps[at + 4] and take(data, state, 1):
        count = take_length(data, state)
        if count >= low and (span == UNBOUNDED or count <= low + span):
            state[ERROR] = WRONG
        return count
    if span == UNBOUNDED:
        count = take_length(data, state)
        if count < low:
            state[ERROR] = WRONG
        return count
    offset = take(data, state, steps[at + 1])
    if offset > span:
        state[ERROR] = WRONG
    return offset + low


def read_choice(steps, at, table, data, state, values):
    """The place of an alternative; where its steps begin."""
    if steps[at + 3] and take(data, state, 1):
        place = steps[at + 2] + 1 + take(data, state, 7)
        if place - steps[at + 2] > MOST_ADDITIONS:
            state[ERROR] = WRONG
        put(values, state, place)
        known = place <= steps[at + 2] + steps[at + 5]
        return table[steps[at + 4] + place] if known else steps[at + 6]
    place = take(data, state, steps[at + 1])
    if place > steps[at + 2]:
        state[ERROR] = WRONG
        place = 0
    put(values, state, place)
    return table[steps[at + 4] + place]


def read_structure(steps, at, table, data, state, values, side, noted, registers):
    """Counts, contents with a length, additions, and the steps that refuse."""
    step, operand = steps[at], steps[at + 1]
    if step == PRESENCE:
        registers[steps[at + 2]] = take(data, state, operand)
        put(values, state, registers[steps[at + 2]])
    elif step == COUNT:
        registers[steps[at + 5]] = read_count(steps, at, data, state)
        put(values, state, registers[steps[at + 5]])
    elif step == OPEN:
        registers[operand] = state[LIMIT]
        length = take_length(data, state)
        registers[operand + 1] = state[AT]
        if state[AT] + 8 * length > state[LIMIT]:
            state[ERROR] = WRONG
        state[LIMIT] = state[AT] + 8 * length
    elif step == CLOSE:
        finish(data, state, registers[operand + 1])
        state[LIMIT] = registers[operand]
    elif step == ADDITIONS:
        registers[operand] = state[VALUES]
        count = take(data, state, 7) + 1
        if count > MOST_ADDITIONS:
            state[ERROR] = WRONG
        put(values, state, count)
        for _ in range(count):
            put(values, state, take(data, state, 1))
    elif step == REST:
        base = registers[operand]
        for place in range(steps[at + 2], values[base]):
            if values[base + 1 + place]:
                take_string(data, state, values, side, take_length(data, state), 8, 0, 255)
    elif step == ROW:
        begin_row(steps, at, state, noted, registers)
    elif step == KEEP:
        registers[operand] = state[VALUES]
    elif state[VALUES] and state[ERROR] == FINE and not allowed(steps, at, table, state, values, side, registers):
        state[ERROR] = WRONG


def begin_row(steps, at, state, noted, registers):
    """Append the row's number and its columns, none of them found yet."""
    begin, columns = state[NOTED], steps[at + 3]
    if begin + 1 + columns > len(noted):
        state[ERROR] = FULL
        return
    noted[begin] = steps[at + 2]
    for column in range(columns):
        noted[begin + 1 + column] = -1
    registers[steps[at + 1]] = begin + 1
    state[NOTED] = begin + 1 + columns


def allowed(steps, at, table, state, values, side, registers):
    """Whether a step that refuses lets the message pass."""
    step, operand = steps[at], steps[at + 1]
    last = values[state[VALUES] - 1]
    if step == NOT:
        return last != operand
    if step == RULE:
        return table[operand + last - steps[at + 2]] == 1
    if step == GROUP:
        return registers[operand] != 0
    return step != TRIANGLE or is_triangle(values, registers[operand], side)


def is_triangle(values, base, side):
    """Whether a bit string of n set bits is followed by columns of n - 1 down to 1 items."""
    size, bits = values[base], values[base + 1]
    count = 0
    if size > NUMBER_BITS:
        for place in range(bits, bits + (size + 7 >> 3)):
            octet = side[place]
            while octet:
                count += octet & 1
                octet >>= 1
    else:
        while bits:
            count += bits & 1
            bits >>= 1
    if values[base + 2] != max(count - 1, 0):
        return False
    base += 3
    for length in range(count - 1, 0, -1):
        if values[base] != length:
            return False
        base += 1 + length
    return True


def finish(data, state, began):
    """Contents that began at a bit end here: less than an octet is left, of zeros (X.691, 11.1)."""
    left = state[LIMIT] - state[AT]
    fill = 8 if state[AT] == began else -(state[AT] - began) & 7
    if left != fill or take(data, state, left):
        state[ERROR] = WRONG
