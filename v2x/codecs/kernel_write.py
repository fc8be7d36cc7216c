"""Runs a program over the flat array and writes octets: the inverse of `kernel_read`, compiled the same way.

A value that the table does not allow ends it; `validate` explains which. `state` is AT (bits written), LIMIT (unused),
VALUES (values taken), SIDE, NOTED (unused), ERROR. Source of the encoding: ITU-T X.691 (02/2021).
"""
from __future__ import annotations

from v2x.codecs.bits import LENGTH_LIMIT, MOST_ADDITIONS
from v2x.codecs.kernel_read import AT, ERROR, FINE, FULL, VALUES, WRONG, allowed
from v2x.codecs.program import (
    ADDITION,
    ADDITIONS,
    BITS,
    CHOICE,
    CLOSE,
    COUNT,
    END,
    IF,
    JUMP,
    KEEP,
    LAST_VALUE,
    LOOP,
    MARK,
    NAME,
    NUMBER,
    NUMBER_BITS,
    OCTETS,
    OPEN,
    PRESENCE,
    REST,
    SELECT,
    STRIDE,
    STRING,
    UNBOUNDED,
    WIDE,
)


def write(steps, table, values, side, state, out, registers):
    """Run the program; state[AT] bits of `out`, whose octets were zero, are the message. state[ERROR] tells how it ended."""
    at = 0
    while state[ERROR] == FINE and steps[at] != END:
        step = steps[at]
        if step == NUMBER:
            value = next_value(values, state)
            registers[steps[at + 4]] = value
            put_ranged(out, state, value - steps[at + 3], steps[at + 1], steps[at + 2])
            at += STRIDE
        elif step <= LAST_VALUE:
            write_value(steps, at, values, side, state, out)
            at += STRIDE
        elif step == IF:
            at = at + STRIDE if registers[steps[at + 1]] & steps[at + 2] else steps[at + 3]
        elif step == LOOP:
            left = registers[steps[at + 1]]
            registers[steps[at + 1]] = left - 1
            at = at + STRIDE if left else steps[at + 2]
        elif step == JUMP:
            at = steps[at + 1]
        elif step == CHOICE:
            at = write_choice(steps, at, table, values, state, out)
        elif step == SELECT:
            key = registers[steps[at + 1]] - steps[at + 3]
            at = table[steps[at + 2] + key] if 0 <= key < steps[at + 4] else steps[at + 5]
        elif step == ADDITION:
            base = registers[steps[at + 1]]
            there = steps[at + 2] < values[base] and values[base + 1 + steps[at + 2]] == 1
            at = at + STRIDE if there else steps[at + 3]
        elif step == MARK:
            at += STRIDE
        else:
            write_structure(steps, at, table, values, side, state, out, registers)
            at += STRIDE
    if state[ERROR] == FINE:
        fill_up(out, state, 0)


def next_value(values, state):
    """The next of the flat array."""
    place = state[VALUES]
    if place >= len(values):
        state[ERROR] = WRONG
        return 0
    state[VALUES] = place + 1
    return values[place]


def put_bits(out, state, number, width):
    """Append bits; `number` fits into them."""
    at = state[AT]
    state[AT] = at + width
    if at + width > 8 * len(out):
        state[ERROR] = FULL
        return
    while width > 0:
        room = 8 - (at & 7)
        chunk = min(room, width)
        width -= chunk
        out[at >> 3] |= (number >> width & ((1 << chunk) - 1)) << (room - chunk)
        at += chunk


def put_ranged(out, state, offset, width, span):
    """Append a number 0..span."""
    if offset < 0 or offset > span:
        state[ERROR] = WRONG
        return
    put_bits(out, state, offset, width)


def put_length(out, state, length):
    """A length determinant in its shortest form (X.691, 11.9)."""
    if length < 128:
        put_bits(out, state, length, 8)
    elif length < LENGTH_LIMIT:
        put_bits(out, state, 1 << 15 | length, 16)
    else:
        state[ERROR] = WRONG


def put_string(values, side, state, out, bits, first, last):
    """Characters from the side buffer; their number was written."""
    begin = next_value(values, state)
    count = next_value(values, state)
    for place in range(begin, begin + count):
        code = side[place]
        if code < first or code > last:
            state[ERROR] = WRONG
            return
        put_bits(out, state, code, bits)


def write_value(steps, at, values, side, state, out):
    """A step that writes one value other than a number of fixed width."""
    step = steps[at]
    if step == WIDE:
        write_wide(steps, at, next_value(values, state), state, out)
        return
    if step == NAME:
        place = next_value(values, state)
        if place > steps[at + 2]:
            put_bits(out, state, 1, 1)
            put_ranged(out, state, place - steps[at + 2] - 1, 7, MOST_ADDITIONS - 1)
        else:
            put_bits(out, state, 0, 1)
            put_ranged(out, state, place, steps[at + 1], steps[at + 2])
        return
    if step == BITS:
        write_bits(steps[at + 1], values, side, state, out)
        return
    if state[VALUES] + 1 >= len(values):
        state[ERROR] = WRONG
        return
    count = values[state[VALUES] + 1]
    if step == OCTETS:
        put_length(out, state, count)
        put_string(values, side, state, out, 8, 0, 255)
    elif step == STRING:
        write_count(steps, at, count, state, out)
        put_string(values, side, state, out, steps[at + 5], steps[at + 6], steps[at + 7])


def write_wide(steps, at, value, state, out):
    """A number with an extension bit: within its range, or in the fewest octets that hold it (X.691, 13.1)."""
    offset = value - steps[at + 3]
    if 0 <= offset <= steps[at + 2]:
        put_bits(out, state, offset, 1 + steps[at + 1])
        return
    octets = 1
    while not -(1 << (8 * octets - 1)) <= value < 1 << (8 * octets - 1):
        octets += 1
        if octets > NUMBER_BITS // 8:
            state[ERROR] = WRONG
            return
    put_bits(out, state, 1, 1)
    put_length(out, state, octets)
    put_bits(out, state, value, 8 * octets)


def write_bits(plain, values, side, state, out):
    """An extensible bit string: its number, or the octets that hold it where it is too long for one."""
    size = next_value(values, state)
    bits = next_value(values, state)
    put_bits(out, state, int(size != plain), 1)
    if size != plain:
        put_length(out, state, size)
    if size <= NUMBER_BITS:
        put_bits(out, state, bits, size)
        return
    for place in range(size + 7 >> 3):
        width = min(8, size - 8 * place)
        put_bits(out, state, side[bits + place] >> (8 - width), width)


def write_count(steps, at, count, state, out):
    """A count in its range or, behind an extension bit, outside of it."""
    low, span, extensible = steps[at + 2], steps[at + 3], steps[at + 4]
    if span == UNBOUNDED:
        if extensible:
            put_bits(out, state, 0, 1)
        if count < low:
            state[ERROR] = WRONG
        put_length(out, state, count)
    elif 0 <= count - low <= span:
        put_bits(out, state, count - low, extensible + steps[at + 1])
    elif extensible:
        put_bits(out, state, 1, 1)
        put_length(out, state, count)
    else:
        state[ERROR] = WRONG


def write_choice(steps, at, table, values, state, out):
    """The place of an alternative; where its steps begin."""
    place, last = next_value(values, state), steps[at + 2]
    if place <= last:
        put_ranged(out, state, place, steps[at + 3] + steps[at + 1], last)
        return table[steps[at + 4] + max(place, 0)]
    if not steps[at + 3]:
        state[ERROR] = WRONG
        return at
    put_bits(out, state, 1, 1)
    put_ranged(out, state, place - last - 1, 7, MOST_ADDITIONS - 1)
    return table[steps[at + 4] + place] if place <= last + steps[at + 5] else steps[at + 6]


def write_structure(steps, at, table, values, side, state, out, registers):
    """Counts, contents with a length, additions, and the steps that refuse."""
    step, operand = steps[at], steps[at + 1]
    if step == PRESENCE:
        registers[steps[at + 2]] = next_value(values, state)
        put_bits(out, state, registers[steps[at + 2]], operand)
    elif step == COUNT:
        registers[steps[at + 5]] = next_value(values, state)
        write_count(steps, at, registers[steps[at + 5]], state, out)
    elif step == OPEN:
        put_bits(out, state, 0, 8)
        registers[operand] = state[AT]
    elif step == CLOSE:
        fill_up(out, state, registers[operand])
        close(out, state, registers[operand])
    elif step == ADDITIONS:
        registers[operand] = state[VALUES]
        count = next_value(values, state)
        put_ranged(out, state, count - 1, 7, MOST_ADDITIONS - 1)
        for _ in range(count):
            put_ranged(out, state, next_value(values, state), 1, 1)
    elif step == REST:
        base = registers[operand]
        for place in range(steps[at + 2], values[base]):
            if values[base + 1 + place]:
                put_length(out, state, values[state[VALUES] + 1])
                put_string(values, side, state, out, 8, 0, 255)
    elif step == KEEP:
        registers[operand] = state[VALUES]
    elif state[VALUES] and state[ERROR] == FINE and not allowed(steps, at, table, state, values, side, registers):
        state[ERROR] = WRONG


def fill_up(out, state, began):
    """End contents that began at a bit with zeros up to a whole octet, of which there is at least one (X.691, 11.1)."""
    put_bits(out, state, 0, 8 if state[AT] == began else -(state[AT] - began) & 7)


def close(out, state, began):
    """Write the length of contents that began at a bit and end here, behind eight bits that were left free for it."""
    length = state[AT] - began >> 3
    if length < 128:
        end = state[AT]
        state[AT] = began - 8
        put_bits(out, state, length, 8)
        state[AT] = end
        return
    if length >= LENGTH_LIMIT or state[AT] + 8 > 8 * len(out):
        state[ERROR] = WRONG if length >= LENGTH_LIMIT else FULL
        return
    last = state[AT] + 7 >> 3
    for place in range(last, began >> 3, -1):
        out[place] = out[place - 1]
    out[began >> 3] = 0
    end = state[AT] + 8
    state[AT] = began - 8
    put_bits(out, state, 1 << 15 | length, 16)
    state[AT] = end
