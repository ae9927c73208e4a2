#include "comm/comm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "comm/impl.h"
#include "core/error.h"

namespace samner::comm {
namespace {

constexpr std::size_t slice = std::size_t{1} << 28;  // well below MPI's int counts

int mpi_count(std::size_t elements) {
    if (std::in_range<int>(elements)) return static_cast<int>(elements);
    throw InfrastructureError{fmt::format("a message of {} elements exceeds MPI's int count", elements),
                              "send it in slices"};
}

MPI_Comm duplicate_of(MPI_Comm handle) {
    MPI_Comm copy = MPI_COMM_NULL;
    check_mpi(MPI_Comm_dup(handle, &copy), "MPI_Comm_dup");
    return copy;
}

std::int64_t broadcast_size(MPI_Comm handle, std::int64_t size, int root) {
    check_mpi(MPI_Bcast(&size, 1, MPI_INT64_T, root, handle), "MPI_Bcast");
    return size;
}

}  // namespace

void check_mpi(int code, std::string_view call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw InfrastructureError{
        fmt::format("{} failed: {}", call, std::string_view(text, static_cast<std::size_t>(length))),
        "see the log of the rank that went first"};
}

Comm::Impl::Impl(MPI_Comm taken) : handle{taken} {
    check_mpi(MPI_Comm_set_errhandler(handle, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(handle, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(handle, &size), "MPI_Comm_size");
}

Comm::Impl::~Impl() {
    int finalized = 0;
    if (MPI_Finalized(&finalized) == MPI_SUCCESS && finalized == 0 && handle != MPI_COMM_NULL) MPI_Comm_free(&handle);
}

Comm::Comm(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Comm::Comm(Comm&&) noexcept = default;
Comm& Comm::operator=(Comm&&) noexcept = default;
Comm::~Comm() = default;

int Comm::rank() const noexcept {
    return impl_->rank;
}

int Comm::size() const noexcept {
    return impl_->size;
}

Comm Comm::duplicate() const {
    return Comm{std::make_unique<Impl>(duplicate_of(impl_->handle))};
}

Comm Comm::team(std::span<int const> ranks, int tag) const {
    constexpr int own_tags = 16;  // MPI_Comm_create_group sends on this communicator, with the tag that it is given
    MPI_Group all = MPI_GROUP_NULL;
    MPI_Group members = MPI_GROUP_NULL;
    MPI_Comm handle = MPI_COMM_NULL;
    check_mpi(MPI_Comm_group(impl_->handle, &all), "MPI_Comm_group");
    check_mpi(MPI_Group_incl(all, mpi_count(ranks.size()), ranks.data(), &members), "MPI_Group_incl");
    check_mpi(MPI_Comm_create_group(impl_->handle, members, own_tags + tag, &handle), "MPI_Comm_create_group");
    check_mpi(MPI_Group_free(&members), "MPI_Group_free");
    check_mpi(MPI_Group_free(&all), "MPI_Group_free");
    return Comm{std::make_unique<Impl>(handle)};
}

void Comm::barrier() const {
    check_mpi(MPI_Barrier(impl_->handle), "MPI_Barrier");
}

void Comm::broadcast(std::string& bytes, int root) const {
    bytes.resize(
        static_cast<std::size_t>(broadcast_size(impl_->handle, static_cast<std::int64_t>(bytes.size()), root)));
    broadcast(std::as_writable_bytes(std::span{bytes}), root);
}

void Comm::broadcast(std::span<std::byte> bytes, int root) const {
    for (std::size_t begin = 0; begin < bytes.size(); begin += slice) {
        auto const size = mpi_count(std::min(slice, bytes.size() - begin));
        check_mpi(MPI_Bcast(bytes.data() + begin, size, MPI_BYTE, root, impl_->handle), "MPI_Bcast");
    }
}

std::vector<std::string> Comm::all_gather(std::string_view bytes) const {
    std::vector<std::string> all(static_cast<std::size_t>(size()));
    for (int root = 0; root < size(); ++root) {
        auto& part = all[static_cast<std::size_t>(root)];
        if (root == rank()) part = bytes;
        broadcast(part, root);
    }
    return all;
}

std::optional<std::vector<int>> Comm::all_gather_within(int value,
                                                        std::optional<std::chrono::milliseconds> wait) const {
    // In memory that is not given back where the call is left before its end.
    auto memory = std::make_unique<std::vector<int>>(static_cast<std::size_t>(size()) + 1, value);
    auto& values = *memory;
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallgather(&values.back(), 1, MPI_INT, values.data(), 1, MPI_INT, impl_->handle, &request),
              "MPI_Iallgather");
    auto const start = std::chrono::steady_clock::now();
    for (int done = 0;;) {
        check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
        if (done != 0) break;
        if (wait && std::chrono::steady_clock::now() - start > *wait) {
            memory.release();
            return std::nullopt;
        }
        std::this_thread::sleep_for(std::chrono::microseconds{200});
    }
    values.pop_back();
    return std::move(values);
}

std::vector<std::string> Comm::gather(std::string_view bytes, int root) const {
    auto const own = static_cast<std::int64_t>(bytes.size());
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(size()));
    check_mpi(MPI_Allgather(&own, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, impl_->handle), "MPI_Allgather");
    constexpr int tag = 1;
    if (rank() != root) {
        for (std::size_t begin = 0; begin < bytes.size(); begin += slice) {
            auto const size = mpi_count(std::min(slice, bytes.size() - begin));
            check_mpi(MPI_Send(bytes.data() + begin, size, MPI_BYTE, root, tag, impl_->handle), "MPI_Send");
        }
        return {};
    }
    std::vector<std::string> all;
    for (int from = 0; from < size(); ++from) {
        auto& part = all.emplace_back();
        if (from == root) {
            part = bytes;
            continue;
        }
        part.resize(static_cast<std::size_t>(sizes[static_cast<std::size_t>(from)]));
        for (std::size_t begin = 0; begin < part.size(); begin += slice) {
            auto const size = mpi_count(std::min(slice, part.size() - begin));
            check_mpi(MPI_Recv(part.data() + begin, size, MPI_BYTE, from, tag, impl_->handle, MPI_STATUS_IGNORE),
                      "MPI_Recv");
        }
    }
    return all;
}

void Comm::sum(std::span<std::int64_t> values) const {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), mpi_count(values.size()), MPI_INT64_T, MPI_SUM, impl_->handle),
              "MPI_Allreduce");
}

void Comm::tree_sum(std::span<float> values) const {
    constexpr int tag = 2;
    constexpr std::size_t piece = std::size_t{1} << 20;  // what a rank holds of another's values at a time
    std::vector<float> received(size() > 1 ? std::min(piece, values.size()) : 0);
    for (std::size_t begin = 0; begin < values.size(); begin += piece) {
        auto const part = values.subspan(begin, std::min(piece, values.size() - begin));
        auto const count = mpi_count(part.size());
        for (int width = 1; width < size(); width *= 2) {
            if (rank() % (2 * width) == width) {
                check_mpi(MPI_Send(part.data(), count, MPI_FLOAT, rank() - width, tag, impl_->handle), "MPI_Send");
                break;
            }
            if (rank() + width >= size()) continue;
            check_mpi(
                MPI_Recv(received.data(), count, MPI_FLOAT, rank() + width, tag, impl_->handle, MPI_STATUS_IGNORE),
                "MPI_Recv");
            for (std::size_t i = 0; i < part.size(); ++i) part[i] += received[i];
        }
        check_mpi(MPI_Bcast(part.data(), count, MPI_FLOAT, 0, impl_->handle), "MPI_Bcast");
    }
}

Session::Session(int& argc, char**& argv) {
    int provided = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
    check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    if (provided != MPI_THREAD_MULTIPLE) {
        throw InfrastructureError{fmt::format("MPI grants thread level {}, MPI_THREAD_MULTIPLE is needed", provided),
                                  "use an MPI built with thread support"};
    }
    control_.reset(new Comm{std::make_unique<Comm::Impl>(duplicate_of(MPI_COMM_WORLD))});
    teams_.reset(new Comm{std::make_unique<Comm::Impl>(duplicate_of(MPI_COMM_WORLD))});
    MPI_Comm node = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank(), MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    Comm::Impl const local{node};
    local_rank_ = local.rank;
    local_size_ = local.size;
}

Session::~Session() {
    control_.reset();
    teams_.reset();
    MPI_Finalize();
}

void Session::abort(int code) {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);  // MPI_Abort does not come back, but is not declared so
}

std::string library_version() {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
    int length = 0;
    check_mpi(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
    std::string const version{text, static_cast<std::size_t>(length)};
    return version.substr(0, version.find_first_of(",\n"));
}

}  // namespace samner::comm
