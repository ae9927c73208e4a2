/// What a merge allocates, counted by this program's own operator new.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "core/parallel.h"
#include "core/random.h"
#include "mpi_test.h"
#include "task/merge_adapters.h"
#include "temporary_folder.h"

namespace {

std::atomic<std::int64_t> live{0};
std::atomic<std::int64_t> peak{0};

void* count(void* memory) {
    if (memory == nullptr) throw std::bad_alloc{};
    auto const now = live += static_cast<std::int64_t>(malloc_usable_size(memory));
    auto seen = peak.load();
    while (now > seen && !peak.compare_exchange_weak(seen, now)) {
    }
    return memory;
}

void release(void* memory) noexcept {
    live -= static_cast<std::int64_t>(malloc_usable_size(memory));
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
    return count(std::malloc(size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    auto const step = static_cast<std::size_t>(alignment);
    return count(std::aligned_alloc(step, (size + step - 1) / step * step));
}
// The library's calls operator new; AddressSanitizer's does not.
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    auto* const memory = std::malloc(size);
    return memory == nullptr ? nullptr : count(memory);
}
void operator delete(void* memory) noexcept {
    release(memory);
}
void operator delete(void* memory, std::nothrow_t const&) noexcept {
    release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    release(memory);
}

namespace samner::task {
namespace {

constexpr std::int32_t rank = 32;
constexpr std::size_t num_experts = 3;

weights::Adapter adapter_of(std::size_t expert) {
    weights::Adapter adapter;
    adapter.settings.r = rank;
    adapter.settings.lora_alpha = rank;
    adapter.settings.target_modules = {"q_proj", "up_proj"};
    RandomStream const stream{expert, "merge memory"};
    for (int layer = 10; layer < 22; ++layer)
        for (auto const& [name, out] : {std::pair{"mlp.up_proj", 4096}, std::pair{"self_attn.q_proj", 1024}}) {
            weights::LoraModule module{fmt::format("model.layers.{}.{}", layer, name), rank, 1.0, 1024, out, {}, {}};
            module.a.resize(std::size_t{rank} * 1024);
            module.b.resize(static_cast<std::size_t>(rank * out));
            for (auto* values : {&module.a, &module.b})
                for (std::size_t i = 0; i < values->size(); ++i) (*values)[i] = static_cast<float>(stream.normal(i));
            adapter.modules.push_back(std::move(module));
        }
    return adapter;
}

TEST(MergeMemory, OfARankIsTheMergedAdapterAndTwoMoreThanTheExpertsTimesTheLargestModule) {
    auto const& teams = mpi_session().teams();
    TemporaryFolder const folder;
    AdapterMerge request;
    std::int64_t merged_bytes = 0;
    std::int64_t largest = 0;
    for (std::size_t i = 0; i < num_experts; ++i) {
        auto const adapter = adapter_of(i);
        request.adapters.push_back(folder / fmt::format("expert{}", i));
        weights::write_adapter(request.adapters.back(), adapter, {}, false, weights::Dtype::bf16);
        merged_bytes = 0;
        for (auto const& module : adapter.modules) {
            auto const bytes = static_cast<std::int64_t>(sizeof(float) * (module.a.size() + module.b.size()));
            merged_bytes += bytes;
            largest = std::max(largest, bytes);
        }
    }
    set_num_threads(2);
    for (auto const method : {merge::Method::linear, merge::Method::ties, merge::Method::dare_ties,
                              merge::Method::breadcrumbs, merge::Method::della, merge::Method::karcher}) {
        request.options.method = method;
        request.options.epsilon = 0.2;
        request.report = method == merge::Method::karcher;
        auto const before = live.load();
        peak = before;
        auto const merged = merge_adapters(request, &teams);
        auto const taken = peak - before;
        EXPECT_GE(taken, merged_bytes);
        constexpr std::int64_t names_and_headers = 1 << 19;
        EXPECT_LE(taken, merged_bytes + largest * std::int64_t{num_experts + 2} + names_and_headers)
            << merge::to_string(method) << ", merged " << merged_bytes << ", largest " << largest;
    }
    set_num_threads(1);
}

}  // namespace
}  // namespace samner::task
