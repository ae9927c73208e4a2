// Feeds a fuzz target with its seeds, mutations of them, and noise; the same ones for the same --seed.
//   TARGET [--bytes N] [--seed N] SEED_FILE_OR_FOLDER...
// An input that ends the program is left in fuzz-fault.bin: TARGET --bytes 0 fuzz-fault.bin runs it again.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"
#include "fuzz/fuzz.h"

namespace samner {
namespace {

namespace fs = std::filesystem;

std::string current;

/// Only what may be called in a signal handler.
void leave_current(int signal) {
    int const file = ::open("fuzz-fault.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file >= 0) (void)!::write(file, current.data(), current.size());
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

class Mutator {
public:
    Mutator(std::vector<std::string> const& seeds, std::uint64_t seed) : seeds_{seeds}, random_{seed, "fuzz"} {}

    std::string next() {
        auto text = any_seed();
        if (below(16) == 0)
            for (auto left = below(64); left > 0; --left) text += any_seed();
        if (below(16) == 0)  // keep the head, which says what the target does with the rest
            for (auto at = std::min<std::size_t>(text.size(), below(8)); at < text.size(); ++at) text[at] = any_byte();
        for (auto left = below(8); left > 0; --left) change(text);
        return text;
    }

private:
    std::size_t below(std::uint64_t bound) { return static_cast<std::size_t>(random_.below(bound, draw_++)); }
    std::string const& any_seed() { return seeds_[below(seeds_.size())]; }
    char any_byte() {
        static constexpr std::string_view meaning = "\t\n\r ,;.\":*`()[]{}<>-_\\0129BIESONx\x80\xC3\xE2\xF0\xFF";
        return below(2) == 0 ? static_cast<char>(below(256)) : meaning[below(meaning.size())];
    }

    void change(std::string& text) {
        auto const at = below(text.size() + 1);
        switch (below(6)) {
            case 0:
                if (at < text.size()) text[at] = any_byte();
                break;
            case 1:
                text.insert(at, 1, any_byte());
                break;
            case 2:
                text.erase(at, 1 + below(8));
                break;
            case 3:
                text.insert(at, text.substr(below(text.size() + 1), below(32)));
                break;
            case 4: {
                auto const& other = any_seed();
                text.insert(at, other.substr(below(other.size() + 1), below(32)));
                break;
            }
            default:
                if (below(4) == 0) text.resize(at);
        }
    }

    std::vector<std::string> const& seeds_;
    RandomStream random_;
    std::uint64_t draw_ = 0;
};

void run_one(std::string bytes) {
    current = std::move(bytes);
    LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(current.data()), current.size());
}

std::vector<std::string> read_seeds(std::vector<fs::path> const& paths) {
    std::vector<fs::path> files;
    for (auto const& path : paths) {
        if (!fs::is_directory(path))
            files.push_back(path);
        else
            for (auto const& entry : fs::directory_iterator{path}) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    std::vector<std::string> seeds;
    for (auto const& file : files) seeds.push_back(read_text(file));
    if (seeds.empty()) throw InputError{"no seeds", "name files or folders that hold some"};
    return seeds;
}

void run(std::vector<std::string> const& arguments) {
    std::uint64_t bytes = 2'000'000;
    std::uint64_t seed = 1;
    std::vector<fs::path> paths;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        bool const option = arguments[i].starts_with("--");
        if (option && i + 1 == arguments.size()) throw InputError{fmt::format("{} has no value", arguments[i])};
        if (arguments[i] == "--bytes")
            bytes = std::stoull(arguments[++i]);
        else if (arguments[i] == "--seed")
            seed = std::stoull(arguments[++i]);
        else if (option)
            throw InputError{fmt::format("unknown option {}", arguments[i]), "use --bytes or --seed"};
        else
            paths.emplace_back(arguments[i]);
    }
    for (int const signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(signal, leave_current);
    auto const seeds = read_seeds(paths);
    for (auto const& one : seeds) run_one(one);
    Mutator mutator{seeds, seed};
    std::uint64_t fed = 0;
    std::uint64_t inputs = 0;
    for (; fed < bytes; ++inputs) {
        run_one(mutator.next());
        fed += current.size() + 1;
    }
    fmt::print("{} seeds and {} mutations with {} bytes gave no fault\n", seeds.size(), inputs, fed);
}

}  // namespace
}  // namespace samner

int main(int argc, char** argv) {
    try {
        samner::run({argv + 1, argv + argc});
    } catch (
        samner::InputError const& error) {  // targets catch their own; others end the program with their input left
        fmt::print(stderr, "error: {}\n", samner::describe(error));
        return 2;
    }
}
