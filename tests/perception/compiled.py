"""Kernels compiled for GPUs that are not here: what they need of registers and of local memory.

For NVIDIA, tools inside of the triton wheel read both from the machine code; for AMD they stand with the assembly.
"""
from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32), "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32), "sm_120": GPUTarget("cuda", 120, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64), "gfx1100": GPUTarget("hip", "gfx1100", 32),
}
NVIDIA_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one thread of a kernel needs."""

    registers: int
    spilled_bytes: int
    assembly: str  # SASS of NVIDIA, GCN of AMD


def compiled(kernel, types, constants, target, warps=4) -> Usage:
    """Compile `kernel` with argument types by name (as triton writes them: "*fp32", "i32") and constants by name."""
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(kernel.arg_names) if signature[name].startswith("*")}
    source = ASTSource(kernel, signature, constants, aligned)
    binary = triton.compile(source, target=TARGETS[target], options={"num_warps": warps})
    if target.startswith("sm_"):
        return nvidia_usage(binary)
    text = binary.asm["amdgcn"]
    return Usage(number_after(r"\.vgpr_count:", text), number_after(r"\.private_segment_fixed_size:", text), text)


def nvidia_usage(binary) -> Usage:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        usage, assembly = (subprocess.run([NVIDIA_TOOLS / tool[0], *tool[1:], file.name], check=True, capture_output=True,
                                          text=True).stdout for tool in (("cuobjdump", "-res-usage"), ("nvdisasm",)))
    return Usage(number_after("REG:", usage), number_after("LOCAL:", usage) + number_after("STACK:", usage), assembly)


def number_after(label: str, text: str) -> int:
    found = re.search(label + r"\s*(\d+)", text)
    assert found, f"no {label} in: {text[:200]}"
    return int(found[1])
