#include <fmt/format.h>

#include <list>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "task/merger.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace samner::task {
namespace {

namespace fs = std::filesystem;

/// A base model's tensors with the merged updates added to those that have one.
class Folding {
public:
    Folding(Merger const& merger, fs::path const& base) : merger_{merger}, base_{base} {
        auto const checkpoint = weights::Checkpoint::open(base);
        if (!fs::is_directory(base)) {
            throw InputError{fmt::format("'{}' is no folder of safetensors", base.string()),
                             "fold into a Hugging Face folder; quantised weights cannot take a small update"};
        }
        for (auto const& expert : merger.experts()) weights::check_fits(expert, checkpoint.config());
        std::set<std::string> there;
        for (auto const& entry : fs::directory_iterator{base}) {
            if (entry.path().extension() != ".safetensors") continue;
            auto const& file = files_.emplace_back(entry.path());
            for (auto const& tensor : file.tensors()) there.insert(tensor.name);
        }
        auto const modules = merger.merge().modules();
        for (std::size_t i = 0; i < modules.size(); ++i) {
            auto const tensor = modules[i].name + ".weight";
            if (!there.contains(tensor))
                throw InputError{fmt::format("the base has no tensor '{}' ({})", tensor, base.string())};
            modules_[tensor] = i;
        }
    }

    void write(fs::path const& out) const {
        for (auto const& entry : fs::directory_iterator{base_}) {
            if (entry.is_regular_file() && entry.path().extension() != ".safetensors")
                fs::copy_file(entry.path(), out / entry.path().filename());
        }
        for (auto const& file : files_) {
            auto metadata = file.metadata();
            metadata.merge(merger_.provenance());
            weights::write_safetensors(out / file.path().filename(), file.tensors(), metadata,
                                       [&](weights::TensorView const& tensor, auto const& append) {
                                           auto const module = modules_.find(tensor.name);
                                           append(module == modules_.end()
                                                      ? tensor.bytes
                                                      : std::span<std::byte const>{folded(tensor, module->second)});
                                       });
        }
    }

private:
    std::span<std::byte const> folded(weights::TensorView const& tensor, std::size_t module) const {
        auto const size = static_cast<std::size_t>(tensor.elements());
        sum_.resize(size);
        delta_.resize(size);
        bytes_.resize(tensor.bytes.size());
        weights::to_float(tensor.dtype, tensor.bytes, sum_);
        merger_.merge().delta(module, delta_);
        for (std::size_t i = 0; i < size; ++i) sum_[i] += delta_[i];
        weights::narrow(tensor.name, tensor.dtype, sum_, bytes_);
        return bytes_;
    }

    Merger const& merger_;
    fs::path base_;
    std::list<weights::SafetensorsFile> files_;
    std::map<std::string, std::size_t, std::less<>> modules_;  ///< by tensor
    mutable std::vector<float> sum_, delta_;                   ///< memory used again
    mutable std::vector<std::byte> bytes_;
};

}  // namespace

void fold_adapters(AdapterMerge const& request, std::filesystem::path const& base, std::filesystem::path const& out) {
    Merger const merger{request, merge::Space::delta, nullptr};
    Folding const folding{merger, base};
    write_folder_atomically(out, [&](fs::path const& partial) { folding.write(partial); });
}

}  // namespace samner::task
