#include "core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.h"

namespace samner {
namespace {

thread_local bool inside_parallel_region = false;

/// Threads that wait for a job, first spinning for some microseconds (a decoding step has hundreds of short regions),
/// then asleep. One job at a time. A thread that wakes late finds the job closed and takes no part: nobody waits for
/// it.
class Pool {
public:
    explicit Pool(int helpers) {
        try {
            for (int i = 0; i < helpers; ++i) threads_.emplace_back([this] { serve(); });
        } catch (std::exception const& error) {
            auto const started = threads_.size();
            close();
            throw InputError{
                fmt::format("{} threads, of which only {} can be started: {}", helpers + 1, started + 1, error.what()),
                "compute with fewer threads"};
        }
    }
    Pool(Pool const&) = delete;
    Pool& operator=(Pool const&) = delete;
    ~Pool() { close(); }

    void run(std::int64_t pieces, std::function<void(std::int64_t)> const& piece) {
        {
            std::lock_guard const lock{mutex_};
            piece_ = &piece;
            pieces_ = pieces;
            next_.store(0, std::memory_order_relaxed);
            error_ = nullptr;
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        work(pieces, piece);
        {
            std::lock_guard const lock{mutex_};
            piece_ = nullptr;
        }
        auto const done = [&] { return working_.load(std::memory_order_acquire) == 0; };
        if (!spin_until(done)) {
            std::unique_lock lock{mutex_};
            done_.wait(lock, done);
        }
        if (error_) std::rethrow_exception(error_);
    }

private:
    void close() {
        {
            std::lock_guard const lock{mutex_};
            closing_ = true;
            generation_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    /// Tries for some microseconds. Yields in between: where there are more threads than cores, another one may be what
    /// is waited for.
    template <class Condition>
    static bool spin_until(Condition const& condition) {
        for (int round = 0; round < 64; ++round) {
            for (int i = 0; i < 32; ++i) {
                if (condition()) return true;
                pause();
            }
            std::this_thread::yield();
        }
        return condition();
    }

    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        std::this_thread::yield();
#endif
    }

    void work(std::int64_t pieces, std::function<void(std::int64_t)> const& piece) {
        inside_parallel_region = true;
        for (;;) {
            auto const index = next_.fetch_add(1, std::memory_order_relaxed);
            if (index >= pieces) break;
            try {
                piece(index);
            } catch (...) {
                std::lock_guard const lock{mutex_};
                if (!error_) error_ = std::current_exception();
            }
        }
        inside_parallel_region = false;
    }

    void serve() {
        std::uint64_t seen = 0;
        auto const called = [&] { return generation_.load(std::memory_order_acquire) != seen; };
        for (;;) {
            spin_until(called);
            std::unique_lock lock{mutex_};
            wake_.wait(lock, called);
            seen = generation_.load(std::memory_order_acquire);
            if (closing_) return;
            if (!piece_) continue;
            auto const& piece = *piece_;
            auto const pieces = pieces_;
            working_.fetch_add(1, std::memory_order_relaxed);
            lock.unlock();
            work(pieces, piece);
            lock.lock();
            if (working_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::atomic<std::uint64_t> generation_{0};
    bool closing_ = false;
    std::function<void(std::int64_t)> const* piece_ = nullptr;  ///< null between jobs
    std::int64_t pieces_ = 0;
    std::atomic<std::int64_t> next_{0};
    std::atomic<int> working_{0};  ///< helpers in the job
    std::exception_ptr error_;
    std::vector<std::thread> threads_;
};

int threads_wanted = 1;
std::unique_ptr<Pool> pool;
std::mutex pool_mutex;

}  // namespace

void set_num_threads(int threads) {
    std::lock_guard const lock{pool_mutex};
    threads_wanted = std::max(threads, 1);
    pool.reset();
    if (threads_wanted > 1) pool = std::make_unique<Pool>(threads_wanted - 1);
}

int num_threads() noexcept {
    return threads_wanted;
}

void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain,
                  std::function<void(std::int64_t, std::int64_t)> const& body) {
    if (begin >= end) return;
    auto const size = end - begin;
    auto const most = (size + std::max<std::int64_t>(grain, 1) - 1) / std::max<std::int64_t>(grain, 1);
    if (threads_wanted == 1 || most == 1 || inside_parallel_region) {
        body(begin, end);
        return;
    }
    // Another thread of this process may be in a region: it keeps the pool, this one goes on alone.
    std::unique_lock const lock{pool_mutex, std::try_to_lock};
    if (!lock || !pool) {
        body(begin, end);
        return;
    }
    auto const pieces = std::min(most, std::int64_t{4} * threads_wanted);
    pool->run(pieces,
              [&](std::int64_t piece) { body(begin + size * piece / pieces, begin + size * (piece + 1) / pieces); });
}

}  // namespace samner
