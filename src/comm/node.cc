#include "comm/node.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "comm/impl.h"
#include "core/error.h"

namespace samner::comm {
namespace {

MPI_Comm split(MPI_Comm handle, int color, int key) {
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(handle, color, key, &part), "MPI_Comm_split");
    return part;
}

/// What names an open file among all of a machine.
struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(Identity const&) const = default;
};

Identity identity_of(int descriptor) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return {};
    return {status.st_dev, status.st_ino};
}

std::size_t pages(std::size_t bytes) {
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return std::max<std::size_t>((bytes + page - 1) / page, 1) * page;
}

}  // namespace

Nodes::Nodes(Comm const& ranks, int at_most) {
    auto const all = ranks.impl_->handle;
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, ranks.rank(), MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    auto whole = std::make_unique<Comm::Impl>(node);
    if (at_most > 0) whole = std::make_unique<Comm::Impl>(split(whole->handle, whole->rank / at_most, whole->rank));
    own_.reset(new Comm{std::move(whole)});
    bool const leads = own_->rank() == 0;
    auto const leaders = split(all, leads ? 0 : MPI_UNDEFINED, ranks.rank());
    if (leads) leaders_.reset(new Comm{std::make_unique<Comm::Impl>(leaders)});
    std::int64_t nodes = leads ? 1 : 0;
    ranks.sum({&nodes, 1});
    count_ = static_cast<int>(nodes);
    std::int64_t first = ranks.rank() == 0 ? 1 : 0;
    own_->sum({&first, 1});
    has_first_rank_ = first == 1;
}

std::uint64_t available_memory() {
    std::ifstream file{"/proc/meminfo"};
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
    throw InfrastructureError{"/proc/meminfo does not say how much memory is available"};
}

NodeMemory::NodeMemory(Comm const& node) : rank_{node.rank()}, shares_(static_cast<std::size_t>(node.size())) {
    if (rank_ == 0) descriptor_ = ::memfd_create("samner weights", MFD_CLOEXEC);
    auto const own = identity_of(descriptor_);
    auto const from = node.all_gather(fmt::format("{} {} {} {}", ::getpid(), descriptor_, own.device, own.inode))[0];
    long process = 0;
    int descriptor = 0;
    Identity wanted;
    std::istringstream{from} >> process >> descriptor >> wanted.device >> wanted.inode;
    if (rank_ != 0) {
        descriptor_ = ::open(fmt::format("/proc/{}/fd/{}", process, descriptor).c_str(), O_RDWR | O_CLOEXEC);
    }
    bool const reached = descriptor_ >= 0 && identity_of(descriptor_) == wanted;
    std::int64_t failures = reached ? 0 : 1;
    node.sum({&failures, 1});
    if (failures == 0) return;
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    if (rank_ == 0 && node.size() > 1) {
        spdlog::warn(
            "{} of {} ranks of this node cannot reach the memory of its first one (/proc/{}/fd): "
            "each keeps a copy of its own — start them in one container or PID namespace to share one",
            failures, node.size(), process);
    }
}

NodeMemory::~NodeMemory() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

NodeMemory::Region NodeMemory::add(std::size_t bytes) {
    return add(bytes, static_cast<int>(std::ranges::min_element(shares_) - shares_.begin()));
}

NodeMemory::Region NodeMemory::add(std::size_t bytes, int filler) {
    auto const size = pages(bytes);
    auto const offset = static_cast<off_t>(std::exchange(end_, end_ + size));
    bool const to_fill = !shared() || filler == rank_;
    shares_[static_cast<std::size_t>(filler)] += size;
    total_ += size;
    auto const refuse = [&](std::string const& why) {
        return Error{fmt::format("no memory for {} more bytes of weights: {}", bytes, why),
                     "take a node with more memory, or a smaller model"};
    };
    if (to_fill) filled_ += size;
    if (auto const left = available_memory(); to_fill && size > left) {
        throw refuse(fmt::format("{} are available", left));
    }
    if (to_fill && shared()) {
        int failed = 0;
        do failed = ::fallocate(descriptor_, 0, offset, static_cast<off_t>(size)) == 0 ? 0 : errno;
        while (failed == EINTR);
        if (failed != 0) throw refuse(std::strerror(failed));
    }
    auto* const memory =
        ::mmap(nullptr, size, to_fill ? PROT_READ | PROT_WRITE : PROT_READ,
               shared() ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, descriptor_, shared() ? offset : 0);
    if (memory == MAP_FAILED) throw refuse(std::strerror(errno));
    return {{static_cast<std::byte*>(memory), [size](std::byte* mapped) { ::munmap(mapped, size); }}, size, to_fill};
}

void NodeMemory::seal(Region const& region) {
    ::mprotect(region.data.get(), region.size, PROT_READ);
}

}  // namespace samner::comm
