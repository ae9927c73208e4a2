#pragma once

#include <string_view>
#include <vector>

namespace samner::kernel {

/// Instruction sets that the kernels are built for. All give the same bits.
enum class Isa { generic, avx2, avx512 };

/// What this processor can run, slowest first.
std::vector<Isa> available();

/// The one in use: the fastest available, or what the environment variable SAMNER_ISA names.
/// @throws InputError when SAMNER_ISA names one that is unknown or that the processor lacks
Isa current();

/// Uses `isa` from now on (for tests). @throws InputError when the processor lacks it
void use(Isa isa);

std::string_view name_of(Isa isa);

}  // namespace samner::kernel
