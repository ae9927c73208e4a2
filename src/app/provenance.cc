#include "app/provenance.h"

#include <fstream>

#include "app/commit.h"
#include "comm/comm.h"
#include "core/host.h"
#include "kernel/isa.h"
#include "model/ops.h"
#include "store/results.h"

namespace samner::app {
namespace {

/// What /proc/cpuinfo calls the processor.
std::string processor() {
    std::ifstream file{"/proc/cpuinfo"};
    for (std::string line; std::getline(file, line);) {
        if (auto const colon = line.find(": "); line.starts_with("model name") && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return "unknown";
}

}  // namespace

Provenance provenance_of(work::Arithmetic const& arithmetic, int ranks, int threads) {
    return {{"version", SAMNER_VERSION},
            {"commit", SAMNER_COMMIT},
            {"date", utc_now()},
            {"host", host_name()},
            {"ranks", std::to_string(ranks)},
            {"threads_a_rank", std::to_string(threads)},
            {"device", arithmetic.device},
            {"dtype", std::string{to_string(arithmetic.precision)}},
            {"processor", arithmetic.device == "cpu" ? processor() : arithmetic.processor},
            {"instruction_set", std::string{kernel::name_of(kernel::current())}},
            {"libtorch", model::libtorch_version()},
            {"mpi", comm::library_version()},
            {"hdf5", store::library_version()}};
}

}  // namespace samner::app
