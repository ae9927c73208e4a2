#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "fuzz/fuzz.h"
#include "weights/safetensors.h"

/// A file is opened and its tensors are read, or it is an InputError.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static int const file = ::memfd_create("safetensors", 0);
    static auto const path = std::filesystem::path{"/proc/self/fd"} / std::to_string(file);
    if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    try {
        samner::weights::SafetensorsFile const opened{path};
        for (auto const& tensor : opened.tensors()) opened.floats(tensor.name);
    } catch (samner::InputError const&) {
    }
    return 0;
}
