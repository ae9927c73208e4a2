#include "work/task.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"

namespace samner::work {
namespace {

template <class T>
int revision_of(T const& task) {
    if constexpr (requires { task.revision(); }) {
        return task.revision();
    } else {
        return T::revision;
    }
}

}  // namespace

std::string_view kind_of(Task const& task) {
    return std::visit([]<class T>(T const&) { return T::kind; }, task);
}

Json identity_of(Task const& task) {
    return std::visit(
        [](auto const& work) {
            Json identity{{"operator", std::remove_cvref_t<decltype(work)>::kind},
                          {"revision", revision_of(work)},
                          {"of", key_of(work)}};
            if constexpr (requires { work.arithmetic; }) identity["numerics"] = key_of(work.arithmetic);
            return identity;
        },
        task);
}

std::string member_name(std::string const& path) {
    std::string name = path.substr(path.starts_with("/of/") ? 4 : 1);
    std::ranges::replace(name, '/', '.');
    return name;
}

std::string key_of_task(Task const& task) {
    return sha256(canonical(identity_of(task)));
}

std::vector<std::string> inputs_of(Task const& task) {
    std::vector<std::string> keys;
    for_each_field_of<Input>(task, [&](Input const& input) {
        if (std::ranges::find(keys, input.key) == keys.end()) keys.push_back(input.key);
    });
    return keys;
}

std::string label_of(Task const& task) {
    return std::visit([](auto const& work) { return work.label(); }, task);
}

int width_of(Task const& task) {
    return std::visit([](auto const& work) { return work.width(); }, task);
}

std::int64_t size_of(Task const& task) {
    return std::visit([](auto const& work) { return work.size(); }, task);
}

std::string batch_of(Task const& task) {
    return std::visit(
        [](auto const& work) {
            if constexpr (requires { work.batch(); }) {
                return work.batch();
            } else {
                return std::string{};
            }
        },
        task);
}

std::string seal(Task const& task) {
    return to_text(to_wire(task));
}

Task open_task(std::string_view sealed) {
    return from_wire<Task>(parse_json(sealed, "a task"), "task", "a task");
}

}  // namespace samner::work
