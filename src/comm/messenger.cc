#include "comm/messenger.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <thread>

#include "comm/impl.h"
#include "core/error.h"
#include "core/log.h"

namespace samner::comm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int tag = 7;

/// First byte of each MPI message.
enum class Part : char { more = 'M', last = 'L', heartbeat = 'H', bye = 'B' };

struct Sending {
    std::string bytes;
    MPI_Request request = MPI_REQUEST_NULL;
};

struct Partner {
    Clock::time_point heard = Clock::now();
    Clock::time_point told = Clock::now();
    std::string partial;
    bool left = false;  ///< has said bye: silent from now on
};

}  // namespace

struct Messenger::Impl {
    MPI_Comm handle;
    int rank;
    MessengerOptions options;
    std::map<int, Partner> partners;  // of the thread alone, like `sending`
    std::list<Sending> sending;

    std::mutex mutex;
    std::condition_variable arrived;
    std::deque<std::pair<int, std::string>> inbox;
    std::deque<std::pair<int, std::string>> outbox;
    std::function<bool(int, std::string const&)> handler;
    std::string lost;
    bool closing = false;
    bool dropping = false;
    std::thread thread;

    void start_send(int to, Part part, std::string_view bytes) {
        auto& sent = sending.emplace_back();
        sent.bytes.reserve(bytes.size() + 1);
        sent.bytes += static_cast<char>(part);
        sent.bytes += bytes;
        check_mpi(
            MPI_Isend(sent.bytes.data(), static_cast<int>(sent.bytes.size()), MPI_BYTE, to, tag, handle, &sent.request),
            "MPI_Isend");
        partners.at(to).told = Clock::now();
    }

    void send_outbox() {
        std::deque<std::pair<int, std::string>> messages;
        {
            std::lock_guard const lock{mutex};
            messages.swap(outbox);
        }
        for (auto const& [to, message] : messages) {
            std::string_view left = message;
            for (; left.size() > options.slice; left.remove_prefix(options.slice)) {
                start_send(to, Part::more, left.substr(0, options.slice));
            }
            start_send(to, Part::last, left);
        }
    }

    void forget_sent() {
        for (auto sent = sending.begin(); sent != sending.end();) {
            int done = 0;
            check_mpi(MPI_Test(&sent->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
            sent = done != 0 ? sending.erase(sent) : std::next(sent);
        }
    }

    void deliver(int from, std::string message) {
        std::function<bool(int, std::string const&)> first;
        {
            std::lock_guard const lock{mutex};
            first = handler;
        }
        if (first && first(from, message)) return;
        std::lock_guard const lock{mutex};
        inbox.emplace_back(from, std::move(message));
        arrived.notify_all();
    }

    /// Looks for a message of any partner; when this side has said good-bye, of those that have not: what comes from
    /// the others is for the next messenger on this communicator.
    bool find_message(bool said_bye, MPI_Status& status) const {
        int found = 0;
        if (!said_bye) {
            check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, tag, handle, &found, &status), "MPI_Iprobe");
            return found != 0;
        }
        return std::any_of(partners.begin(), partners.end(), [&](auto const& entry) {
            if (!entry.second.left) check_mpi(MPI_Iprobe(entry.first, tag, handle, &found, &status), "MPI_Iprobe");
            return found != 0;
        });
    }

    bool receive_one(bool said_bye) {
        MPI_Status status;
        if (!find_message(said_bye, status)) return false;
        int size = 0;
        check_mpi(MPI_Get_count(&status, MPI_BYTE, &size), "MPI_Get_count");
        std::string bytes(static_cast<std::size_t>(size), '\0');
        check_mpi(MPI_Recv(bytes.data(), size, MPI_BYTE, status.MPI_SOURCE, tag, handle, MPI_STATUS_IGNORE),
                  "MPI_Recv");
        auto& partner = partners.at(status.MPI_SOURCE);
        partner.heard = Clock::now();
        switch (static_cast<Part>(bytes.at(0))) {
            case Part::more:
                partner.partial.append(bytes, 1);
                break;
            case Part::last:
                partner.partial.append(bytes, 1);
                deliver(status.MPI_SOURCE, std::exchange(partner.partial, {}));
                break;
            case Part::heartbeat:
                break;
            case Part::bye:
                partner.left = true;
                break;
        }
        return true;
    }

    void keep_alive() {
        auto const time = Clock::now();
        for (auto& [other, partner] : partners) {
            if (time - partner.told > options.heartbeat) start_send(other, Part::heartbeat, {});
            if (!partner.left && time - partner.heard > options.silence) {
                throw InfrastructureError{fmt::format("rank {} heard nothing from rank {} for {:.1f} s", rank, other,
                                                      std::chrono::duration<double>(time - partner.heard).count()),
                                          "its process or node is gone or hangs; run again to go on"};
            }
        }
    }

    bool all_left() const {
        return std::all_of(partners.begin(), partners.end(), [](auto const& entry) { return entry.second.left; });
    }

    void pump() {
        bool said_bye = false;
        for (;;) {
            bool close_now = false;
            {
                std::lock_guard const lock{mutex};
                if (dropping) return;
                close_now = closing;
            }
            send_outbox();
            if (close_now && !said_bye) {
                for (auto const& [other, partner] : partners) start_send(other, Part::bye, {});
                said_bye = true;
            }
            bool const busy = receive_one(said_bye);
            forget_sent();
            if (said_bye && sending.empty() && all_left()) return;
            if (!said_bye) keep_alive();
            if (!busy) std::this_thread::sleep_for(std::chrono::microseconds{500});
        }
    }

    void run() {
        try {
            pump();
        } catch (std::exception const& error) {
            {
                std::lock_guard const lock{mutex};
                lost = error.what();
            }
            arrived.notify_all();
            if (options.on_lost) return options.on_lost(error.what());
            spdlog::error("{} — run again to go on", error.what());
            Session::abort(static_cast<int>(ExitCode::infrastructure));
        }
    }

    /// With the mutex held.
    void require_partners() const {
        if (!lost.empty()) throw InfrastructureError{lost, "run again to go on"};
    }
};

Messenger::Messenger(Comm const& control, MessengerOptions options) : impl_{std::make_unique<Impl>()} {
    if (options.slice == 0 || options.slice >= (std::size_t{1} << 31) - 1) {
        throw InputError{fmt::format("a slice of {} bytes does not fit a message", options.slice)};
    }
    impl_->handle = control.impl_->handle;
    impl_->rank = control.rank();
    impl_->options = std::move(options);
    if (control.rank() != 0) impl_->partners[0];
    for (int other = 1; control.rank() == 0 && other < control.size(); ++other) impl_->partners[other];
    impl_->thread = std::thread{[impl = impl_.get()] { impl->run(); }};
}

Messenger::~Messenger() {
    if (!impl_->thread.joinable()) return;
    {
        std::lock_guard const lock{impl_->mutex};
        impl_->dropping = true;
    }
    impl_->thread.join();
    // MPI may still read what is under way: those buffers must outlive this object.
    if (!impl_->sending.empty())
        new std::list<Sending>{std::move(impl_->sending)};  // NOLINT(bugprone-unhandled-exception-at-new)
}

void Messenger::send(int rank, std::string message) {
    std::lock_guard const lock{impl_->mutex};
    impl_->require_partners();
    if (!impl_->partners.contains(rank)) {
        throw InputError{fmt::format("rank {} sends no messages to rank {}", impl_->rank, rank),
                         "messages go between rank 0 and the others"};
    }
    impl_->outbox.emplace_back(rank, std::move(message));
}

std::optional<std::pair<int, std::string>> Messenger::poll(std::chrono::milliseconds wait) {
    std::unique_lock lock{impl_->mutex};
    impl_->arrived.wait_for(lock, wait, [&] { return !impl_->inbox.empty() || !impl_->lost.empty(); });
    impl_->require_partners();
    if (impl_->inbox.empty()) return std::nullopt;
    auto message = std::move(impl_->inbox.front());
    impl_->inbox.pop_front();
    return message;
}

void Messenger::intercept(std::function<bool(int, std::string const&)> handler) {
    std::lock_guard const lock{impl_->mutex};
    impl_->handler = std::move(handler);
}

void Messenger::close() {
    {
        std::lock_guard const lock{impl_->mutex};
        impl_->closing = true;
    }
    if (impl_->thread.joinable()) impl_->thread.join();
    std::lock_guard const lock{impl_->mutex};
    impl_->require_partners();
}

}  // namespace samner::comm
