#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "app/command_line.h"
#include "app/verbs.h"
#include "core/home.h"
#include "core/json.h"
#include "core/parallel.h"
#include "core/random.h"
#include "kernel/gemm.h"
#include "kernel/isa.h"
#include "model/cuda.h"

namespace samner::app {
namespace {

/// Whether a product's bits are the same on every instruction set of this machine, on one and two threads, and row by
/// row.
bool rank_independent() {
    constexpr std::int64_t rows = 21, columns = 70, depth = 130;
    RandomStream const random{1, "doctor"};
    std::vector<float> a(rows * depth);
    std::vector<float> b(depth * columns);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(random.normal(i));
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(random.normal(1'000'000 + i));
    auto const packed = kernel::PackedMatrix::from_matrix(b.data(), depth, columns, columns);
    std::vector<float> reference(rows * columns);
    kernel::gemm(rows, a.data(), depth, packed, reference.data(), columns, false);
    auto const usual = kernel::current();
    bool same = true;
    for (auto const isa : kernel::available()) {
        kernel::use(isa);
        for (int const threads : {1, 2}) {
            set_num_threads(threads);
            std::vector<float> result(reference.size());
            kernel::gemm(rows, a.data(), depth, packed, result.data(), columns, false);
            same = same && result == reference;
            for (std::int64_t row = 0; row < rows; ++row)
                kernel::gemm(1, a.data() + row * depth, depth, packed, result.data() + row * columns, columns, false);
            same = same && result == reference;
        }
    }
    kernel::use(usual);
    set_num_threads(1);
    return same;
}

}  // namespace

void add_doctor_verb(CLI::App& app, ExitCode& code) {
    struct Options {
        bool json = false;
    };
    auto options = std::make_shared<Options>();
    auto* const verb = app.add_subcommand("doctor", "What this machine has, what is missing, what to do about it");
    verb->add_flag("--json", options->json, "one JSON document");
    add_examples(*verb, "samner doctor");
    verb->callback([options, &code] {
        auto lines = Json::array();
        bool fine = true;
        auto const report = [&](std::string const& what, bool good, std::string const& found,
                                std::string const& remedy) {
            fine = fine && good;
            lines.push_back({{"what", what}, {"ok", good}, {"found", found}, {"remedy", good ? "" : remedy}});
        };
        namespace fs = std::filesystem;
        std::string sets;
        for (auto const isa : kernel::available())
            sets += (sets.empty() ? "" : ", ") + std::string{kernel::name_of(isa)};
        report("instruction sets", true, fmt::format("{} (in use: {})", sets, kernel::name_of(kernel::current())), "");
        auto const same = rank_independent();
        report("results independent of ranks, batches, threads", same, same ? "yes" : "no",
               "this build is broken: rebuild it, and tell us");
        report("processors", true, fmt::format("{}", ::sysconf(_SC_NPROCESSORS_ONLN)), "");
        report(
            "CUDA", true,
            model::has_cuda() ? "there; samner's GPU path has not run on a device yet" : "none: computing on the CPU",
            "");
        auto const on_path = [](std::string const& program) {
            auto const* const variable = std::getenv("PATH");
            std::string const path = variable ? variable : "";
            for (std::size_t begin = 0; begin <= path.size();) {
                auto const end = std::min(path.find(':', begin), path.size());
                auto const candidate = fs::path{path.substr(begin, end - begin)} / program;
                if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
                begin = end + 1;
            }
            return std::string{};
        };
        auto const mpirun = on_path("mpirun");
        report("mpirun", !mpirun.empty(), mpirun.empty() ? "not on PATH" : mpirun,
               "install openmpi-bin or load your site's MPI module");
        try {
            auto const home = find_home();
            report("home (configs, experiments)", home.has_value(),
                   home ? fmt::format("{} ({})", home->folder.string(), home->found) : "not beside the program",
                   "set SAMNER_HOME to a checkout of samner, or to PREFIX/share/samner of an installed one");
        } catch (InputError const& error) {
            report("home (configs, experiments)", false, error.what(), error.remedy());
        }
        auto const* const data = std::getenv("SAMNER_DATA");
        report("SAMNER_DATA", true, data ? data : "not set: only the committed cuts of the corpora are at hand", "");
        if (options->json) {
            fmt::print("{}\n", lines.dump(1));
        } else {
            for (auto const& line : lines) {
                fmt::print("{} {:<48} {}\n", line["ok"].get<bool>() ? "ok     " : "MISSING",
                           line["what"].get<std::string>(), line["found"].get<std::string>());
                if (!line["remedy"].get<std::string>().empty())
                    fmt::print("        {}\n", line["remedy"].get<std::string>());
            }
        }
        if (!fine) code = ExitCode::bad_input;
    });
}

}  // namespace samner::app
