#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "comm/comm.h"
#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "merge/loops.h"
#include "task/agreement.h"
#include "task/merger.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace samner::task {
namespace {

namespace fs = std::filesystem;

/// Whether a file of a model folder holds weights, or says where they are. Those of the base that are not read are not
/// those of the folded model either.
bool is_about_weights(fs::path const& path) {
    constexpr auto extensions = std::to_array<std::string_view>(
        {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".npz", ".onnx", ".onnx_data"});
    auto const name = path.filename().string();
    return std::ranges::find(extensions, path.extension().string()) != extensions.end() ||
           name.ends_with(".index.json") || name == "adapter_config.json";
}

/// The tensors of a base model, each in its file, and the updates of those that have one. The files are those that the
/// model is read from.
class Folding {
public:
    Folding(Merger const& merger, fs::path const& base)
        : merger_{merger}, base_{base}, checkpoint_{weights::Checkpoint::open(base)} {
        if (!fs::is_directory(base)) {
            throw InputError{fmt::format("'{}' is no folder of safetensors", base.string()),
                             "fold into a Hugging Face folder; quantised weights cannot take a small update"};
        }
        for (auto const& expert : merger.experts()) weights::check_folds(expert, checkpoint_.config());
        auto const modules = merger.merge().modules();
        std::map<std::string, std::size_t, std::less<>> updated;
        for (std::size_t i = 0; i < modules.size(); ++i) updated[modules[i].name + ".weight"] = i;
        auto const& stored = checkpoint_.stored_tensors();
        for (auto first = stored.begin(); first != stored.end();) {
            auto const last =
                std::find_if(first, stored.end(), [&](auto const& one) { return one.file != first->file; });
            std::map<std::string_view, std::size_t> module_of;
            auto& tensors = tensors_.emplace_back();
            for (auto one = first; one != last; ++one) {
                tensors.push_back(*one->tensor);
                auto const found = updated.find(one->name);
                if (found == updated.end()) continue;
                check_dtype(*one->tensor);
                module_of[one->tensor->name] = found->second;
                updated.erase(found);
            }
            files_.push_back(first->file);
            auto metadata = first->file->metadata();
            metadata.merge(merger.provenance());
            auto const& layout = layouts_.emplace_back(tensors, metadata);
            for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
                Piece piece{.file = files_.size() - 1, .tensor = layout.tensors[i], .offset = layout.offsets[i]};
                auto const found = module_of.find(piece.tensor->name);
                if (found != module_of.end()) piece.module = found->second;
                pieces_.push_back(piece);
            }
            first = last;
        }
        if (!updated.empty())
            throw InputError{fmt::format("the base has no tensor '{}' ({})", updated.begin()->first, base.string()),
                             "merge into the model that the adapters were trained on"};
    }

    /// Reads the factors of a rank's share of the modules, for what reading refuses.
    void check_values(int rank, int ranks) const {
        auto const shards = merger_.merge().shards(ranks);
        auto const& shard = shards[static_cast<std::size_t>(rank)];
        parallel_for(0, std::ssize(shard), 1, [&](std::int64_t first, std::int64_t last) {
            for (auto i = first; i < last; ++i) merger_.check(shard[static_cast<std::size_t>(i)]);
        });
    }

    /// Copies what is no tensor, and makes the files that the ranks fill. Says which files with weights are left out.
    void prepare(fs::path const& folder) const {
        auto const read = checkpoint_.files();
        std::set<std::string> left_out;
        for (auto const& entry : fs::directory_iterator{base_}) {
            if (!entry.is_regular_file()) continue;
            auto const& path = entry.path();
            bool const is_read = std::ranges::find(read, path) != read.end();
            if (is_read && path.extension() == ".safetensors") continue;
            if (!is_read && is_about_weights(path))
                left_out.insert(path.filename().string());
            else
                write_atomically(folder / path.filename(), MappedFile{path}.text());
        }
        if (!left_out.empty())
            spdlog::warn("the folded model has no {}: '{}' is read from other files", fmt::join(left_out, ", "),
                         base_.string());
        for (std::size_t i = 0; i < files_.size(); ++i) {
            auto const path = folder / files_[i]->path().filename();
            RangeFile::create(path, layouts_[i].size);
            RangeFile{path}.write(0, std::as_bytes(std::span{layouts_[i].header}));
        }
    }

    /// Writes a rank's share of the tensors: one is written while the next ones are read and computed.
    /// @return the bytes written
    std::uint64_t write(fs::path const& folder, int rank, int ranks) const {
        std::vector<merge::Share> items;
        for (auto const& piece : pieces_) items.push_back({piece.tensor->name, piece.tensor->bytes.size()});
        auto const shard = merge::assign_shards(items, ranks)[static_cast<std::size_t>(rank)];
        std::map<std::size_t, RangeFile> outputs;
        std::uint64_t bytes = 0;
        std::uint64_t ahead = 0;
        auto next = shard.begin();
        merge::UpdateMemory updates;
        std::array<std::vector<std::byte>, 2> folded;
        std::future<void> written;  // ends before what it uses
        for (auto const index : shard) {
            auto const& piece = pieces_[index];
            auto const& file = *files_[piece.file];
            for (; next != shard.end() && ahead < read_ahead; ++next) {
                auto const& coming = pieces_[*next];
                files_[coming.file]->prefetch(*coming.tensor);
                ahead += coming.tensor->bytes.size();
            }
            ahead -= piece.tensor->bytes.size();
            bytes += piece.tensor->bytes.size();
            auto& output = outputs.try_emplace(piece.file, folder / file.path().filename()).first->second;
            auto content = piece.tensor->bytes;
            if (piece.module) {
                fold(piece, updates, folded[0]);
                content = folded[0];
            }
            if (written.valid()) written.get();
            written = std::async(std::launch::async, [&output, &file, &piece, content] {
                output.write(piece.offset, content);
                file.release(*piece.tensor);
            });
            std::swap(folded[0], folded[1]);
        }
        if (written.valid()) written.get();
        for (auto& [file, output] : outputs) output.sync();
        return bytes;
    }

private:
    struct Piece {
        std::size_t file = 0;
        weights::TensorView const* tensor = nullptr;
        std::uint64_t offset = 0;
        std::optional<std::size_t> module = {};  ///< whose update it takes
    };

    void check_dtype(weights::TensorView const& tensor) const {
        auto const dtype = weights::name(tensor.dtype);
        if (merger_.request().dtype.empty() || merger_.request().dtype == dtype) return;
        throw InputError{fmt::format("the base's tensor '{}' is {}, and dtype asks for {}", tensor.name, dtype,
                                     merger_.request().dtype),
                         "leave dtype out: a folded model keeps the types of its base"};
    }

    static constexpr std::uint64_t read_ahead = std::uint64_t{32} << 20;  ///< bytes of tensors to come

    /// A tensor's sum with its update, rounded.
    void fold(Piece const& piece, merge::UpdateMemory& memory, std::vector<std::byte>& out) const {
        auto const& tensor = *piece.tensor;
        auto const width = weights::size_of(tensor.dtype);
        out.resize(tensor.bytes.size());
        std::mutex mutex;
        std::optional<std::pair<std::size_t, float>> too_large;  // the first
        auto const add_base = [&](std::size_t begin, std::span<float> sum) {
            auto const place = begin * width;
            std::array<float, 2048> base;
            auto const values = std::span{base}.first(sum.size());
            weights::to_float(tensor.dtype, tensor.bytes.subspan(place, sum.size() * width), values);
            merge::loops::add(sum.data(), values.data(), sum.size());
            weights::from_float(tensor.dtype, sum, std::span{out}.subspan(place, sum.size() * width));
            auto const found = weights::find_too_large(tensor.dtype, sum);
            if (!found) return;
            std::lock_guard const lock{mutex};
            std::pair const here{begin + *found, sum[*found]};
            if (!too_large || here.first < too_large->first) too_large = here;
        };
        merger_.merge().delta(
            *piece.module,
            [&](std::size_t begin, std::span<float> part) {
                for (std::size_t done = 0; done < part.size(); done += 2048)
                    add_base(begin + done, part.subspan(done, std::min<std::size_t>(2048, part.size() - done)));
            },
            memory);
        merger_.release(*piece.module);
        if (too_large) weights::throw_too_large(tensor.name, tensor.dtype, too_large->first, too_large->second);
    }

    Merger const& merger_;
    fs::path base_;
    weights::Checkpoint checkpoint_;
    std::vector<weights::SafetensorsFile const*> files_;
    std::deque<std::vector<weights::TensorView>> tensors_;  ///< of each file
    std::deque<weights::SafetensorsLayout> layouts_;        ///< of each file as it will be
    std::vector<Piece> pieces_;
};

}  // namespace

std::uint64_t fold_adapters(AdapterMerge const& request, fs::path const& base, fs::path const& out,
                            comm::Comm const* ranks, bool replace) {
    Merger const merger{request, merge::Space::delta, ranks};
    auto const rank = ranks ? ranks->rank() : 0;
    auto const size = ranks ? ranks->size() : 1;
    std::optional<Folding> folding;
    on_all(ranks, [&] {
        folding.emplace(merger, base);
        folding->check_values(rank, size);
    });
    std::optional<PartialFolder> folder;  // of rank 0, which removes it when anything fails
    auto const partial = partial_of(out);
    on_all(ranks, [&] {
        if (rank != 0) return;
        folder.emplace(out);
        folding->prepare(partial);
    });
    std::uint64_t bytes = 0;
    on_all(ranks, [&] { bytes = folding->write(partial, rank, size); });
    on_all(ranks, [&] {
        if (rank == 0) folder->publish(replace);
    });
    return bytes;
}

}  // namespace samner::task
