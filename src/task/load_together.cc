#include "task/load_together.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>

#include "comm/comm.h"
#include "comm/nccl.h"
#include "comm/node.h"
#include "core/error.h"
#include "core/hash.h"
#include "model/placement.h"
#include "task/agreement.h"
#include "weights/checkpoint.h"

namespace samner::task {
namespace {

class NodePlacement : public model::Placement {
public:
    NodePlacement(comm::NodeMemory& memory, comm::DeviceComm const* devices, bool leads)
        : memory_{memory}, devices_{devices}, leads_{leads} {}

    std::shared_ptr<float const> host(std::size_t count, std::function<void(float*)> const& fill) override {
        auto const region = memory_.add(count * sizeof(float));
        auto* const floats = reinterpret_cast<float*>(region.data.get());
        if (region.to_fill) {
            fill(floats);
            comm::NodeMemory::seal(region);
        }
        return {region.data, floats};
    }

    void device(void* data, std::size_t bytes, std::function<void()> const& fill) override {
        if (!devices_ || leads_) fill();
        if (devices_) devices_->broadcast(data, bytes, 0);
    }

private:
    comm::NodeMemory& memory_;
    comm::DeviceComm const* devices_;
    bool leads_;
};

/// Names what a checkpoint holds, but for the tensors' values.
std::string contents_of(weights::Checkpoint const& checkpoint) {
    Sha256 hash;
    for (auto const& name : checkpoint.names())
        hash.update(
            fmt::format("{} {} {}\n", name, fmt::join(checkpoint.shape(name), ","), checkpoint.stored(name).size()));
    return hash.hex();
}

/// Bytes of the prepared weights, about.
std::uint64_t prepared_size(weights::Checkpoint const& checkpoint, bool with_backward) {
    std::uint64_t bytes = 0;
    for (auto const& name : checkpoint.names()) {
        std::uint64_t size = sizeof(float);
        for (auto const part : checkpoint.shape(name)) size *= static_cast<std::uint64_t>(part);
        bool const is_matrix = checkpoint.shape(name).size() > 1;
        bool const is_table = name == "model.embed_tokens.weight";
        auto const copies = std::uint64_t{is_matrix && with_backward ? 2U : 1U};
        if (!is_table) bytes += copies * size;
        if (is_table) bytes += checkpoint.config().tie_word_embeddings ? (1 + copies) * size : size;
    }
    return bytes;
}

/// The stored tensors of a checkpoint in memory of every node but that of rank 0, which sends them.
class StagedTensors {
public:
    StagedTensors(weights::Checkpoint const& checkpoint, comm::Nodes const& nodes, comm::Comm const& ranks)
        : memory_{nodes.own()} {
        auto const names = checkpoint.names();
        on_all(&ranks, [&] {
            if (nodes.has_first_rank()) return;
            for (auto const& name : names) regions_.push_back(memory_.add(checkpoint.stored(name).size(), 0));
            copy_.emplace(weights::Checkpoint::open(checkpoint.path()));
        });
        for (std::size_t i = 0; i < names.size(); ++i) {
            auto const stored = checkpoint.stored(names[i]);
            if (nodes.has_first_rank()) {
                // What rank 0 sends is only read.
                if (nodes.leaders())
                    nodes.leaders()->broadcast({const_cast<std::byte*>(stored.data()), stored.size()}, 0);
                continue;
            }
            std::span<std::byte> const received{regions_[i].data.get(), stored.size()};
            if (nodes.leaders()) nodes.leaders()->broadcast(received, 0);
            if (!memory_.shared()) nodes.own().broadcast(received, 0);
            copy_->read_from(names[i], received);
        }
        nodes.own().barrier();
    }

    weights::Checkpoint const* copy() const { return copy_ ? &*copy_ : nullptr; }  ///< null on the node of rank 0

private:
    comm::NodeMemory memory_;
    std::vector<comm::NodeMemory::Region> regions_;
    std::optional<weights::Checkpoint> copy_;
};

}  // namespace

LoadedTogether load_together(weights::Checkpoint const& checkpoint, model::Ops const& ops, bool with_backward,
                             comm::Comm const& ranks, LoadOptions const& options) {
    auto const contents =
        gather_all<decltype(contents_of(checkpoint))>(&ranks, [&] { return contents_of(checkpoint); });
    for (std::size_t rank = 1; rank < contents.size(); ++rank) {
        if (contents[rank] == contents[0]) continue;
        throw InputError{fmt::format("rank {} has another model at '{}' than rank 0", rank, checkpoint.path().string()),
                         "give all ranks the same files"};
    }
    comm::Nodes const nodes{ranks, options.ranks_a_node};
    on_all(&ranks, [&] {
        auto const needed = prepared_size(checkpoint, with_backward);
        auto const left = comm::available_memory();
        if (needed <= left || !options.on_host) return;
        throw Error{fmt::format("the prepared weights take about {:.1f} GB, and {:.1f} GB of memory are available",
                                static_cast<double>(needed) / 1e9, static_cast<double>(left) / 1e9),
                    "take a node with more memory, or a smaller model"};
    });
    std::optional<StagedTensors> staged;
    if (nodes.count() > 1 && !options.devices) staged.emplace(checkpoint, nodes, ranks);
    comm::NodeMemory memory{nodes.own()};
    NodePlacement placement{memory, options.devices, ranks.rank() == 0};
    LoadedTogether loaded;
    loaded.nodes = nodes.count();
    on_all(&ranks, [&] {
        auto const* const copy = staged ? staged->copy() : nullptr;
        loaded.model = model::load_language_model(copy ? *copy : checkpoint, ops, with_backward, placement);
    });
    loaded.bytes = memory.total();
    loaded.filled = memory.filled();
    return loaded;
}

}  // namespace samner::task
