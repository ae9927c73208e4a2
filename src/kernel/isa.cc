#include "kernel/isa.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>

#include "core/error.h"
#include "kernel/table.h"

namespace samner::kernel {
namespace {

bool runs(Isa isa) {
    switch (isa) {
        case Isa::generic:
            return true;
        case Isa::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case Isa::avx512:
            return runs(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq");
    }
    return false;
}

Isa chosen_at_start() {
    auto const* const name = std::getenv("SAMNER_ISA");
    if (!name || !*name) return available().back();
    for (auto const isa : {Isa::generic, Isa::avx2, Isa::avx512}) {
        if (name_of(isa) != name) continue;
        if (!runs(isa))
            throw InputError{fmt::format("SAMNER_ISA is '{}', which this processor lacks", name), "unset it"};
        return isa;
    }
    throw InputError{fmt::format("SAMNER_ISA is '{}'", name), "use generic, avx2 or avx512, or unset it"};
}

Isa& chosen() {
    static Isa isa = chosen_at_start();
    return isa;
}

}  // namespace

std::string_view name_of(Isa isa) {
    switch (isa) {
        case Isa::generic:
            return "generic";
        case Isa::avx2:
            return "avx2";
        case Isa::avx512:
            return "avx512";
    }
    throw Error{"an instruction set without a name"};
}

std::vector<Isa> available() {
    std::vector<Isa> all{Isa::generic, Isa::avx2, Isa::avx512};
    std::erase_if(all, [](Isa isa) { return !runs(isa); });
    return all;
}

Isa current() {
    return chosen();
}

void use(Isa isa) {
    if (!runs(isa)) throw InputError{fmt::format("this processor lacks {}", name_of(isa))};
    chosen() = isa;
}

Table const& table() {
    switch (chosen()) {
        case Isa::generic:
            return generic::table();
        case Isa::avx2:
            return avx2::table();
        case Isa::avx512:
            return avx512::table();
    }
    throw Error{"an instruction set without kernels"};
}

}  // namespace samner::kernel
