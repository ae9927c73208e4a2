#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "command.h"
#include "core/file.h"
#include "core/file_stamp.h"
#include "core/json.h"
#include "score/score.h"
#include "store/artifacts.h"
#include "store/journal.h"
#include "store/lease.h"
#include "store/results.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

/// SHA-256 of every artifact, by key.
std::map<std::string, std::string> artifacts(fs::path const& run) {
    std::map<std::string, std::string> hashes;
    for (auto const& entry : fs::directory_iterator{run / "artifacts"}) {
        auto const name = entry.path().filename().string();
        if (!name.starts_with('.')) hashes[name] = store::content_hash(entry.path());
    }
    return hashes;
}

/// How often the journal says that each task was started.
std::map<std::string, int> starts(fs::path const& run) {
    std::map<std::string, int> counts;
    for (auto const& record : store::replay_journal(run / "journal").records) {
        if (record["kind"] == "started") ++counts[record["key"].get<std::string>()];
    }
    return counts;
}

/// Mentions of a predictions file, by id.
std::map<std::string, std::set<std::string>> mentions_of(fs::path const& path) {
    std::map<std::string, std::set<std::string>> mentions;
    for_each_jsonl(path, [&](Json const& line, std::string const&) {
        auto& of = mentions[line["id"].get<std::string>()];
        for (auto const& entity : line["entities"])
            of.insert(score::normalise(entity["text"].get<std::string>()) + "/" + entity["type"].get<std::string>());
    });
    return mentions;
}

/// Completions of a predictions file, by id.
std::map<std::string, std::string> completions_of(fs::path const& path) {
    std::map<std::string, std::string> completions;
    for_each_jsonl(path, [&](Json const& line, std::string const&) {
        completions[line["id"].get<std::string>()] = line["completion"].get<std::string>();
    });
    return completions;
}

std::string const experiment = "run experiments/tiny.yaml";

/// One undisturbed run on one rank, which the others are compared with.
class TinyRun : public testing::Test {
protected:
    static void SetUpTestSuite() {
        folder = new TemporaryFolder;
        auto const result = samner_command(fmt::format("{} --out {}", experiment, reference().string()));
        ASSERT_EQ(result.code, 0) << result.output;
        grid = result.output.substr(result.output.find("tiny:"));
        grid = grid.substr(0, grid.find("results:"));
    }
    static void TearDownTestSuite() { delete folder; }
    static fs::path reference() { return *folder / "reference"; }

    static void expect_equal(fs::path const& run, std::string const& output) {
        EXPECT_EQ(artifacts(run), artifacts(reference()));
        EXPECT_THAT(output, HasSubstr(grid));
        for (auto const* column : {"/cells/tp", "/cells/fp", "/cells/fn"}) {
            EXPECT_EQ(store::read_int64(run / "results.h5", column),
                      store::read_int64(reference() / "results.h5", column))
                << column;
        }
        EXPECT_EQ(store::read_double(run / "results.h5", "/cells/f1"),
                  store::read_double(reference() / "results.h5", "/cells/f1"));
    }

    static TemporaryFolder* folder;
    static std::string grid;
};
TemporaryFolder* TinyRun::folder = nullptr;
std::string TinyRun::grid;

TEST_F(TinyRun, FindsEntitiesInEveryCellAndMoreOfThemMergedThanWithTheBase) {
    auto const systems = store::read_strings(reference() / "results.h5", "/cells/system");
    auto const tp = store::read_int64(reference() / "results.h5", "/cells/tp");
    auto const f1 = store::read_double(reference() / "results.h5", "/cells/f1");
    std::map<std::string, double> sums;
    for (std::size_t i = 0; i < systems.size(); ++i) {
        sums[systems[i]] += f1[i];
        EXPECT_GT(tp[i], 0) << systems[i];
    }
    for (auto const* system : {"merge_all", "vote_experts", "similarity_only", "sampling_only"})
        EXPECT_GT(sums[system], sums["base"]) << system;
    EXPECT_GT(sums["sam"], sums["base"] + 0.1);
    EXPECT_GT(sums["unified"], sums["base"] + 0.1);
    EXPECT_GE(sums["best_expert"], sums["expert_zoo"]);
}

TEST_F(TinyRun, IsTheSameBitByBitOnTwoToFourRanks) {
    for (int const ranks : {2, 3, 4}) {
        auto const run = *folder / fmt::format("ranks{}", ranks);
        auto const result = samner_command(fmt::format("{} --out {} -n {}", experiment, run.string(), ranks));
        ASSERT_EQ(result.code, 0) << result.output;
        expect_equal(run, result.output);
    }
}

TEST_F(TinyRun, IsTheSameOnEveryInstructionSetAndWithOtherSlotsAndThreads) {
    auto const run = *folder / "avx2";
    auto const result = run_command(fmt::format(
        "if grep -q avx2 /proc/cpuinfo; then export SAMNER_ISA=avx2; fi; {} {} --out {} threads=2 infer.num_slots=3",
        SAMNER_BINARY, experiment, run.string()));
    ASSERT_EQ(result.code, 0) << result.output;
    expect_equal(run, result.output);
}

TEST_F(TinyRun, DoesNothingTwiceWhenCalledAgain) {
    auto const before = starts(reference());
    auto const result = samner_command(fmt::format("{} --out {}", experiment, reference().string()));
    EXPECT_EQ(result.code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr(grid));
    EXPECT_EQ(starts(reference()), before);
    for (auto const& [key, count] : before) EXPECT_EQ(count, 1) << key;
}

TEST_F(TinyRun, ShowsTheGridAlsoWhereItsFilesCannotBeWritten) {
    auto const run = *folder / "unwritable";
    fs::copy(reference(), run, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    fs::remove(run / "results.h5");
    fs::create_directories(run / "results.h5/in the way");  // no file can take the place of a folder
    fs::remove(run / "report.html");
    for (auto const& command :
         {fmt::format("{} --out {}", experiment, run.string()),
          fmt::format("{} --out {} -n 2", experiment, run.string()), fmt::format("report {}", run.string())}) {
        auto const result = run_command(fmt::format("{} {} 2>/dev/null", SAMNER_BINARY, command));
        EXPECT_EQ(result.code, 74) << result.output;
        EXPECT_THAT(result.output, HasSubstr(grid));
        EXPECT_EQ(result.output.find("results:"), std::string::npos) << result.output;
        EXPECT_TRUE(fs::exists(run / "report.html")) << "one file does not depend on the other";
        EXPECT_THAT(samner_command(command).output, HasSubstr("results.h5"));
        fs::remove(run / "report.html");
    }
}

TEST_F(TinyRun, StopsCleanlyOnASignalAndGoesOnWhereItStopped) {
    auto const run = *folder / "stopped";
    auto const command = fmt::format("{} --out {} -n 2", experiment, run.string());
    // mpirun kills its ranks on TERM; samner asks them to stop instead.
    auto const first = run_command(fmt::format("timeout -s TERM 2 {} {}; echo code $?", SAMNER_BINARY, command));
    EXPECT_EQ(first.output.find("tiny:"), std::string::npos) << "no grid of what is not there";
    auto const second = samner_command(command);
    ASSERT_EQ(second.code, 0) << first.output << second.output;
    expect_equal(run, second.output);
    if (first.output.find("code 75") == std::string::npos) {
        // `timeout` reports 124 for what it has stopped; what matters is that the ranks ended by themselves.
        EXPECT_THAT(first.output, HasSubstr("run the same command again")) << "the run was over before the signal came";
    }
}

TEST_F(TinyRun, OfWhichARankIsKilledEndsWith70AndSaysWhatToDo) {
    auto const run = *folder / "killed rank";
    auto const result = run_command(fmt::format(
        "{0} {1} --out '{2}' -n 2 & for i in $(seq 200); do [ -e '{2}/journal' ] && break; sleep 0.05; done; "
        "sleep 1; pkill -KILL -n -f -- '--out {2}'; wait $!; echo code $?",
        SAMNER_BINARY, experiment, run.string()));
    EXPECT_THAT(result.output, HasSubstr("a rank was killed"));
    EXPECT_THAT(result.output, HasSubstr("code 70"));
}

TEST_F(TinyRun, KilledAtAnyMomentIsFinishedByTheSameCommandWithoutDoingFinishedTasksAgain) {
    auto const run = *folder / "killed";
    auto const command = fmt::format("{} --out {} -n 2", experiment, run.string());
    for (double const seconds : {0.8, 2.0, 3.5}) {
        run_command(fmt::format("timeout -s KILL {} {} {} ; pkill -KILL -f -- '--out {}' ; true", seconds,
                                SAMNER_BINARY, command, run.string()));
    }
    std::map<std::string, int> done;
    if (fs::exists(run / "journal")) {
        for (auto const& record : store::replay_journal(run / "journal").records) {
            if (record["kind"] == "made") ++done[record["key"].get<std::string>()];
        }
    }
    auto const before = fs::exists(run / "journal") ? starts(run) : std::map<std::string, int>{};
    auto const result = samner_command(command);
    ASSERT_EQ(result.code, 0) << result.output;
    expect_equal(run, result.output);
    EXPECT_TRUE(fs::is_empty(run / "checkpoints"));
    auto const after = starts(run);
    for (auto const& [key, count] : done)
        EXPECT_EQ(after.at(key), before.at(key)) << "a finished task was started again: " << key;
}

TEST_F(TinyRun, DoesAnAlteredArtifactAgain) {
    auto const run = *folder / "altered";
    fs::copy(reference(), run, fs::copy_options::recursive);
    fs::path victim;
    for (auto const& entry : fs::directory_iterator{run / "artifacts"}) {
        if (fs::is_regular_file(entry) && read_text(entry).starts_with("{")) victim = entry.path();
    }
    ASSERT_FALSE(victim.empty());
    write_atomically(victim, "{}\n");
    auto const result = samner_command(fmt::format("{} --out {}", experiment, run.string()));
    EXPECT_EQ(result.code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("missing or was altered"));
    expect_equal(run, result.output);
}

TEST_F(TinyRun, IsReportedAgainFromItsFolderAlone) {
    auto const run = *folder / "reported";
    fs::copy(reference(), run, fs::copy_options::recursive);
    fs::remove(run / "results.h5");
    fs::remove(run / "report.html");
    auto const result = samner_command(fmt::format("report {}", run.string()));
    EXPECT_EQ(result.code, 0) << result.output;
    expect_equal(run, result.output);
    EXPECT_THAT(read_text(run / "report.html"), HasSubstr("expert_workshop"));
    EXPECT_THAT(samner_command(fmt::format("status {}", run.string())).output, HasSubstr("train"));
}

TEST_F(TinyRun, IsNotReportedWhileItIsHeldNorWithResultsThatAreLost) {
    auto const run = *folder / "unreported";
    fs::copy(reference(), run, fs::copy_options::recursive);
    auto const before = read_text(run / "results.h5");
    auto const report = fmt::format("report {}", run.string());
    {
        store::Lease const held{run};
        auto const result = samner_command(report);
        EXPECT_EQ(result.code, 73) << result.output;
        EXPECT_THAT(result.output, HasSubstr("is held by process"));
    }
    fs::path victim;
    for (auto const& entry : fs::directory_iterator{run / "artifacts"}) {
        if (fs::is_regular_file(entry) && read_text(entry).starts_with("{")) victim = entry.path();
    }
    ASSERT_FALSE(victim.empty());
    write_atomically(victim, "{}\n");
    auto const result = samner_command(report);
    EXPECT_EQ(result.code, 1) << result.output;
    EXPECT_THAT(result.output,
                AllOf(HasSubstr("1 of the results"), HasSubstr("missing or damaged"), HasSubstr("samner run")));
    EXPECT_EQ(read_text(run / "results.h5"), before);
    EXPECT_THAT(samner_command(fmt::format("status {}", run.string())).output, HasSubstr("done"));
    EXPECT_EQ(samner_command(fmt::format("report {}", (*folder / "nothing").string())).code, 2);
    EXPECT_FALSE(fs::exists(*folder / "nothing"));
}

TEST_F(TinyRun, FrozenRefusesAFolderThatHoldsAnotherRunAndSaysWhatDiffers) {
    for (auto const* how : {"--frozen", "--frozen --dry-run"}) {
        auto const result =
            samner_command(fmt::format("{} --out {} merge.density=0.3 {}", experiment, reference().string(), how));
        EXPECT_EQ(result.code, 2) << how;
        EXPECT_THAT(result.output, HasSubstr("run.merge.density differ")) << how;
    }
}

TEST_F(TinyRun, WithExpertsThatExistTrainsNothingAndGivesTheSameNumbers) {
    std::string experts;
    for (auto const& [expert, key] : {std::pair{"travel", "e4a6c420fc478a45"}, std::pair{"zoo", "2b25ed2fddcc1bf7"},
                                      std::pair{"workshop", "6d81bcfa4c4a24a5"}}) {
        for (auto const& entry : fs::directory_iterator{reference() / "artifacts"}) {
            if (entry.path().filename().string().starts_with(key))
                experts += fmt::format(" 'experts.{}={{adapter: {}, texts: [tiny-{}]}}'", expert, entry.path().string(),
                                       expert);
        }
    }
    write_atomically(*folder / "existing.yaml",
                     "experiment: existing\ntargets: [expedition, museum]\nlet:\n  ours: pool(travel, zoo, "
                     "workshop)\nrows:\n  merge_all: merge(ours)\n  best: best_by_gold(ours)\n  sampling: "
                     "merge(select(ours, sampling, 2))\n");
    auto const run = *folder / "existing";
    auto const result = samner_command(fmt::format("run {} --config configs/runs/tiny.yaml{} --out {}",
                                                   (*folder / "existing.yaml").string(), experts, run.string()));
    ASSERT_EQ(result.code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("merge_all       42.11       48.48"));
    EXPECT_THAT(result.output, HasSubstr("best            39.47       61.54"));
    EXPECT_THAT(result.output, HasSubstr("sampling        31.58       45.45"));
    EXPECT_THAT(result.output, HasSubstr("import zoo"));
    EXPECT_EQ(result.output.find("train zoo"), std::string::npos);
}

TEST_F(TinyRun, LeavesALibraryOfExpertsThatAdaptAnswersWithAsARunDoes) {
    auto const library = reference() / "experts";
    auto const listed = samner_command(fmt::format("experts {} --model tests/data/tiny", library.string()));
    EXPECT_EQ(listed.code, 0);
    EXPECT_THAT(listed.output,
                AllOf(HasSubstr("zoo       rank 8, 28 modules, base tiny, 96 texts, types animal, plant\n"),
                      HasSubstr("travel "), HasSubstr("workshop ")));
    std::string texts;
    for_each_jsonl(reference() / "by-name/tiny/base/museum/predictions-1.jsonl",
                   [&](Json const& line, std::string const&) {
                       texts += Json{{"id", line["id"]}, {"text", line["text"]}}.dump() + "\n";
                   });
    write_atomically(*folder / "texts.jsonl", texts);
    auto const out = *folder / "adapted";
    auto const adapt =
        fmt::format("adapt --model tests/data/tiny --experts {} --in {} --types metal,tool,plant --out {} -m 2 -k 24 "
                    "infer.max_new_tokens=64",
                    library.string(), (*folder / "texts.jsonl").string(), out.string());
    auto const dry = samner_command(adapt + " --dry-run");
    EXPECT_EQ(dry.code, 0) << dry.output;
    EXPECT_FALSE(fs::exists(out));
    auto const adapted = samner_command(adapt + " -n 2");
    ASSERT_EQ(adapted.code, 0) << adapted.output;
    EXPECT_THAT(adapted.output, AllOf(HasSubstr("no_gold"), HasSubstr("chosen by similarity: workshop, zoo")));

    write_atomically(*folder / "same.yaml",
                     "experiment: same\ntargets: [museum]\nlet: {p: \"pool(travel, workshop, zoo)\"}\nrows:\n  sam: "
                     "union(merge(select(p, similarity, 2)), merge(select(p, sampling, 2, k=24)))\n");
    auto const run = *folder / "same";
    ASSERT_EQ(samner_command(fmt::format("run {} --config configs/runs/tiny.yaml --store {} --out {}",
                                         (*folder / "same.yaml").string(), (reference() / "artifacts").string(),
                                         run.string()))
                  .code,
              0);
    auto expected = mentions_of(run / "by-name/same/sam/museum/predictions-1.jsonl");
    for (auto const& [id, mentions] : mentions_of(run / "by-name/same/sam/museum/predictions-2.jsonl"))
        expected[id].insert(mentions.begin(), mentions.end());
    EXPECT_EQ(mentions_of(out / "predictions.jsonl"), expected);
    for_each_jsonl(out / "predictions.jsonl", [](Json const& line, std::string const&) {
        auto const text = line["text"].get<std::string>();
        for (auto const& entity : line["entities"]) {
            auto const begin = entity["start"].get<std::size_t>();  // the texts are ASCII
            EXPECT_EQ(text.substr(begin, entity["end"].get<std::size_t>() - begin), entity["text"]);
        }
    });
    for (auto const* const strategy : {"similarity", "sampling"})
        EXPECT_TRUE(fs::exists(out / strategy / "adapter_model.safetensors")) << strategy;
    auto const selection = Json::parse(read_text(out / "selection.json"));
    EXPECT_EQ(selection["similarity"]["chosen"], (Json{"workshop", "zoo"}));

    auto const again = samner_command(adapt);
    EXPECT_EQ(again.code, 0);
    EXPECT_EQ(again.output.find("[1/"), std::string::npos) << "all of it was there";
    std::string gold;
    for_each_line(texts, [&](std::string_view line, std::size_t number) {
        auto labelled = Json::parse(line);
        labelled["entities"] = Json::array();
        if (number == 1) labelled["entities"].push_back({{"text", "Ruium"}, {"type", "metal"}});
        gold += labelled.dump() + "\n";
    });
    write_atomically(*folder / "gold.jsonl", gold);
    auto const scored = samner_command(adapt + " --eco --gold " + (*folder / "gold.jsonl").string());
    EXPECT_EQ(scored.code, 0) << scored.output;
    EXPECT_THAT(scored.output, HasSubstr("sam_eco"));
    EXPECT_TRUE(fs::exists(out / "sam_eco"));
    // What is merged into the base's weights has no adapter.
    auto const delta = *folder / "adapted in delta space";
    auto const merged = samner_command(
        fmt::format("adapt --model tests/data/tiny --experts {} --in {} --types metal,tool,plant --out '{}' -m 2 "
                    "infer.max_new_tokens=64 merge.space=delta",
                    library.string(), (*folder / "texts.jsonl").string(), delta.string()));
    EXPECT_EQ(merged.code, 0) << merged.output;
    EXPECT_THAT(merged.output, HasSubstr("adapters:    none: delta space has no factors"));
    EXPECT_EQ(mentions_of(delta / "predictions.jsonl").size(), 24U);
}

TEST_F(TinyRun, LeavesAdaptersOfUsersInItsLibraryAlone) {
    auto const run = *folder / "library kept";
    fs::copy(reference(), run, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    fs::create_directories(run / "experts/mine");
    write_atomically(run / "experts/mine/adapter_config.json", "{}");
    fs::copy(run / "experts/zoo", run / "experts/gone", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    auto const result = samner_command(fmt::format("{} --out '{}'", experiment, run.string()));
    EXPECT_EQ(result.code, 0) << result.output;
    EXPECT_TRUE(fs::exists(run / "experts/mine/adapter_config.json"));
    EXPECT_TRUE(fs::exists(run / "experts/zoo/adapter_model.safetensors"));
    EXPECT_FALSE(fs::exists(run / "experts/gone")) << "the run's own that nothing asks for";
}

TEST_F(TinyRun, AdaptsOnlyWithExpertsWhoseDomainIsKnownAndTellsWhatIsWrong) {
    auto const library = *folder / "library";
    fs::create_directories(library);
    for (auto const* const name : {"travel", "zoo"})
        fs::copy(reference() / "experts" / name, library / name, fs::copy_options::recursive);
    write_atomically(*folder / "one.jsonl", "{\"id\": \"a\", \"text\": \"this Kalater was used\"}\n");
    write_atomically(*folder / "other.jsonl", "{\"id\": \"a\", \"text\": \"another\", \"entities\": []}\n");
    write_atomically(*folder / "types.yaml", "types:\n  - tool: what work is done with\n  - metal\n");
    auto const adapt = fmt::format("adapt --model tests/data/tiny --experts {} --in {} --types {} --out {} ",
                                   library.string(), (*folder / "one.jsonl").string(),
                                   (*folder / "types.yaml").string(), (*folder / "wrong").string());
    auto const expect_refused = [&](std::string const& arguments, std::string const& what) {
        auto const result = samner_command(adapt + arguments);
        EXPECT_EQ(result.code, 2) << result.output;
        EXPECT_THAT(result.output, HasSubstr(what));
        EXPECT_FALSE(fs::exists(*folder / "wrong"));
    };
    expect_refused("-m 3", "-m is 3 with 2 experts that fit");
    expect_refused("-m 1 --gold " + (*folder / "other.jsonl").string(), "id a has another text");
    expect_refused("-m 1 --encoder tests/data/tiny", "tests/data/tiny");
    fs::remove(library / "zoo/samner.json");
    expect_refused("-m 1", "the expert 'zoo' cannot be compared with the texts: no card");
    auto const both = samner_command(fmt::format("card {} --encoder .deps/minilm --data tiny-zoo --in {}",
                                                 (library / "zoo").string(), (*folder / "one.jsonl").string()));
    EXPECT_EQ(both.code, 2);
    EXPECT_THAT(both.output, HasSubstr("both --data tiny-zoo and --in"));
    auto const card = [&](std::string const& encoder) {
        auto const result = samner_command(
            fmt::format("card {} --encoder {} --data tiny-zoo --configs tests/data/tiny/datasets --root "
                        "tests/data/tiny --layout short --model tests/data/tiny",
                        (library / "zoo").string(), encoder));
        EXPECT_EQ(result.code, 0) << result.output;
        EXPECT_THAT(result.output, HasSubstr("samner.json: centroid of "));
    };
    card("tests/data/encoders/cls");
    expect_refused("-m 1", "the cards are of different encoders");
    // The same encoder under another name.
    fs::create_directory_symlink(fs::absolute(fs::path{SAMNER_SOURCE_DIR} / ".deps/minilm"), *folder / "encoder");
    card((*folder / "encoder").string());
    auto const good = samner_command(adapt + "-m 1 -k 1");
    EXPECT_EQ(good.code, 0) << good.output;
    EXPECT_THAT(read_text(*folder / "wrong/experiment.yaml"), HasSubstr("what work is done with"));
}

TEST_F(TinyRun, ShowsWhatACellIsMadeOf) {
    auto const result = samner_command(fmt::format("show {} tiny/sam museum", reference().string()));
    ASSERT_EQ(result.code, 0) << result.output;
    for (auto const* part : {"tiny/sam: union(merge(", "museum, seed 0: F1 58.67", "tp 22, fp 20, fn 11, 24 sentences",
                             "predictions  infer ties(travel, workshop) on tiny-museum", "weight 1     train workshop"})
        EXPECT_THAT(result.output, HasSubstr(part));
    EXPECT_EQ(result.output.find("expedition"), std::string::npos);
    // Each file that it names is there.
    int files = 0;
    for_each_line(result.output, [&](std::string_view line, std::size_t) {
        auto const colon = line.rfind(": ");
        if (!line.starts_with("    ") || colon == std::string_view::npos) return;
        ++files;
        EXPECT_TRUE(fs::exists(line.substr(colon + 2))) << line;
    });
    EXPECT_EQ(files, 8);
    auto const unknown = samner_command(fmt::format("show {} smm", reference().string()));
    EXPECT_EQ(unknown.code, 2);
    EXPECT_THAT(unknown.output, HasSubstr("did you mean sam?"));
}

TEST_F(TinyRun, InDeltaSpaceDecodesWithTheModelThatMergeWritesOnAnyNumberOfRanks) {
    write_atomically(*folder / "delta.yaml",
                     "experiment: delta\ntargets: [museum]\nlet: {ours: 'pool(travel, zoo, workshop)'}\nrows:\n"
                     "  ties: merge(ours, space=delta)\n  dare: merge(ours, dare_ties, space=delta)\n"
                     "  linear: merge(ours, linear, space=delta, lambda=0.5)\n  cat: merge(ours, cat, lambda=0.5)\n");
    auto const run_on = [&](int ranks) { return *folder / fmt::format("delta{}", ranks); };
    auto const file = [&](fs::path const& run, char const* row, char const* name) {
        return run / "by-name/delta" / row / "museum" / name;
    };
    for (int const ranks : {1, 2, 4}) {
        fs::copy(reference(), run_on(ranks), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        auto const result =
            samner_command(fmt::format("run {} --config configs/runs/tiny.yaml --out {} -n {}",
                                       (*folder / "delta.yaml").string(), run_on(ranks).string(), ranks));
        ASSERT_EQ(result.code, 0) << result.output;
        EXPECT_EQ(artifacts(run_on(ranks)), artifacts(run_on(1))) << ranks;
    }
    auto const run = run_on(1);
    auto const predictions = [&](char const* row) { return read_text(file(run, row, "predictions-1.jsonl")); };
    // The sum of the products in the base's weights, and beside them.
    EXPECT_EQ(predictions("linear"), predictions("cat"));
    EXPECT_NE(predictions("ties"), predictions("linear"));
    EXPECT_NE(predictions("ties"), read_text(reference() / "by-name/tiny/merge_all/museum/predictions-1.jsonl"));
    for (auto const& [row, method] : {std::pair{"ties", "ties"}, std::pair{"dare", "dare_ties"}}) {
        std::string adapters;
        for (int i = 1; i <= 3; ++i) adapters += " " + file(run, row, fmt::format("adapter-1.{}", i).c_str()).string();
        auto const model = *folder / fmt::format("folded-{}", row);
        auto const merged = samner_command(fmt::format(
            "merge{} --method {} --space delta --base tests/data/tiny --out {}", adapters, method, model.string()));
        ASSERT_EQ(merged.code, 0) << merged.output;
        auto const out = *folder / fmt::format("{}.jsonl", row);
        auto const predicted = samner_command(
            fmt::format("predict --model {} --data 'tiny-museum:test[:24]' --root tests/data/tiny --configs "
                        "tests/data/tiny/datasets --layout short --max-new-tokens 64 --out {}",
                        model.string(), out.string()));
        ASSERT_EQ(predicted.code, 0) << predicted.output;
        EXPECT_EQ(mentions_of(out), mentions_of(file(run, row, "predictions-1.jsonl"))) << row;
        EXPECT_EQ(completions_of(out), completions_of(file(run, row, "predictions-1.jsonl"))) << row;
    }
    auto const shown = samner_command(fmt::format("show {} delta/ties", run.string())).output;
    for (auto const* part :
         {"predictions  infer ties(travel, zoo, workshop, space=delta) on tiny-museum",
          "merge        ties(travel, zoo, workshop, space=delta), into the base's weights", "weight 1     train zoo"})
        EXPECT_THAT(shown, HasSubstr(part));
}

TEST_F(TinyRun, IsComparedRowByRowAndWithOthers) {
    auto const run = reference().string();
    auto const compared = [](std::string const& words) {
        auto const result = samner_command("compare " + words);
        EXPECT_EQ(result.code, 0) << result.output;
        return result.output;
    };
    EXPECT_THAT(compared(fmt::format("{0}#sam {0}#tiny/base", run)),
                AllOf(HasSubstr("tiny/sam: union(merge("), HasSubstr("museum"), HasSubstr("mean")));
    auto const rows = parse_json(compared(fmt::format("{0}#tiny/sam {0}#base --json --seed 3", run)), "rows");
    EXPECT_EQ(rows["seed"], 3);
    EXPECT_EQ(rows["left_out"], Json::array());
    ASSERT_EQ(rows["targets"].size(), 2U);
    auto const& museum = rows["targets"][0]["target"] == "museum" ? rows["targets"][0] : rows["targets"][1];
    EXPECT_EQ(museum["sentences"], 24);
    EXPECT_EQ(museum["a"]["tp"], 22);
    EXPECT_EQ(museum["a"]["fp"], 20);
    EXPECT_DOUBLE_EQ(museum["difference"], museum["a"]["f1"].get<double>() - museum["b"]["f1"].get<double>());
    EXPECT_LE(museum["low"], museum["difference"]);
    EXPECT_GE(museum["high"], museum["difference"]);

    // A copy is the same run, until its experiment is another one.
    auto const copy = *folder / "compared";
    fs::copy(reference(), copy, fs::copy_options::recursive);
    auto const both = fmt::format("{} {}", run, copy.string());
    auto same = parse_json(compared(both + " --json"), "runs");
    for (auto const* list : {"settings", "other_results", "reasons"}) EXPECT_EQ(same[list], Json::array()) << list;
    for (auto const& row : same["rows"]["both"]) EXPECT_EQ(row["difference"], 0) << row;
    std::int64_t equal = 0;
    for (auto const& kind : same["tasks"]) equal += kind["equal"].get<std::int64_t>();
    EXPECT_EQ(equal, 39);
    EXPECT_THAT(compared(both), HasSubstr("no setting differs"));

    auto text = read_text(copy / "experiment.yaml");
    auto const density = text.find("density: 0.5");
    ASSERT_NE(density, std::string::npos);
    write_atomically(copy / "experiment.yaml", text.replace(density, 12, "density: 0.3"));
    auto const changed = compared(both);
    EXPECT_THAT(changed, AllOf(HasSubstr("run.merge.density: 0.5, 0.3"), HasSubstr("density (0.5, 0.3)"),
                               HasSubstr("only what they read differs (adapter)"), HasSubstr("pending in b")));

    for (auto const& [words, what] : {std::pair{fmt::format("{0}#smm {0}#base", run), "did you mean sam?"},
                                      {fmt::format("{0} {0}x", run), "no run"},
                                      {fmt::format("{0} {0}#sam", run), "name a row of both"},
                                      {fmt::format("{0}# {0}#sam", run), "no row"}}) {
        auto const refused = samner_command("compare " + words);
        EXPECT_EQ(refused.code, 2) << refused.output;
        EXPECT_THAT(refused.output, HasSubstr(what));
    }
}

TEST_F(TinyRun, WithADamagedJournalIsWarnedOfAndWithoutOneThatCanBeReadKeepsItsResults) {
    auto const run = *folder / "damaged";
    fs::copy(reference(), run, fs::copy_options::recursive);
    auto const results = store::content_hash(run / "results.h5");
    auto journal = read_text(run / "journal");
    write_atomically(run / "journal", journal.replace(journal.find("\"kind\":\"made\""), 4, "king"));
    auto const status = samner_command(fmt::format("status {}", run.string()));
    EXPECT_THAT(status.output, HasSubstr("a line of the journal is left out"));
    write_atomically(run / "journal", "no journal at all\n");
    for (auto const* verb : {"report", "status"}) {
        auto const result = samner_command(fmt::format("{} {}", verb, run.string()));
        EXPECT_EQ(result.code, 2) << verb;
        EXPECT_THAT(result.output, HasSubstr("can be read")) << verb;
    }
    EXPECT_EQ(store::content_hash(run / "results.h5"), results);
}

Json status_of(fs::path const& run) {
    auto const result = samner_command(fmt::format("status '{}' --json", run.string()));
    EXPECT_EQ(result.code, 0) << result.output;
    return parse_json(result.output, "status");
}

std::int64_t count(Json const& status, char const* what) {
    std::int64_t sum = 0;
    for (auto const& kind : status["kinds"]) sum += kind[what].get<std::int64_t>();
    return sum;
}

TEST_F(TinyRun, TellsHowFarItIsWhileItRunsAndHowItEnded) {
    auto const run = *folder / "watched";
    // Each look is a line; the last one sees the end.
    auto const watched = run_command(
        fmt::format("({0} {1} --out '{2}' -n 2 >/dev/null 2>&1 &); for i in $(seq 400); do [ -e '{2}/plan.json' ] && "
                    "break; sleep 0.05; done; {0} status '{2}' --json --watch",
                    SAMNER_BINARY, experiment, run.string()));
    ASSERT_EQ(watched.code, 0) << watched.output;
    std::vector<Json> looks;
    for_each_line(watched.output,
                  [&](std::string_view line, std::size_t) { looks.push_back(parse_json(line, "status")); });
    ASSERT_GE(looks.size(), 2U) << "it was over before the first look";
    auto const& first = looks.front();
    EXPECT_EQ(first["state"], "running");
    EXPECT_EQ(first["live"], true);
    EXPECT_EQ(first["ranks"], 2);
    EXPECT_GE(count(first, "all"), 32);
    for (auto const& look : looks) {
        for (auto const& task : look["running"]) {
            EXPECT_TRUE(task["label"].get<std::string>().starts_with(task["kind"].get<std::string>())) << task;
            EXPECT_LE(task["done"], task["total"]);
        }
    }
    EXPECT_TRUE(std::ranges::any_of(looks, [](Json const& look) {
        return look["live"] == true && (!look["running"].empty() || count(look, "done") > 0);
    })) << watched.output;
    auto const& last = looks.back();
    EXPECT_EQ(last["state"], "done");
    EXPECT_EQ(last["live"], false);
    EXPECT_EQ(last["share"], 1.0);
    EXPECT_EQ(last["running"], Json::array());
    EXPECT_EQ(count(last, "done"), 39);
    EXPECT_EQ(count(last, "all"), 39);
    EXPECT_EQ(last["finished"].size(), 5U);
}

TEST_F(TinyRun, OfWhichThereIsNoProgressFileIsToldOfByItsJournalAndPlan) {
    auto const run = *folder / "earlier";
    fs::copy(reference(), run, fs::copy_options::recursive);
    fs::remove(run / "progress.json");
    auto status = status_of(run);
    EXPECT_EQ(status["state"], "done");
    EXPECT_EQ(count(status, "done"), 39);
    EXPECT_EQ(count(status, "all"), 39);
    for (auto const* damaged : {"", "{", "[]", "7", R"({"state": 7, "kinds": [1], "running": {"a": 1}})"}) {
        write_atomically(run / "progress.json", damaged);
        write_atomically(run / "plan.json", damaged);
        status = status_of(run);
        EXPECT_EQ(count(status, "done"), 39) << damaged;
        ASSERT_EQ(status["finished"].size(), 5U);
        EXPECT_TRUE(status["finished"].back()["label"].is_string());
    }
}

/// Starts a run on one rank and sends it a signal when its first task has begun.
CommandResult begin_and_send(char const* signal, fs::path const& run) {
    return run_command(fmt::format(
        "{0} {1} --out '{2}' & for i in $(seq 1200); do grep -q '\"kind\":\"started\"' '{2}/journal' 2>/dev/null && "
        "break; sleep 0.05; done; kill -{3} $!; wait $!; true",
        SAMNER_BINARY, experiment, run.string(), signal));
}

TEST_F(TinyRun, ThatWasKilledIsDeadAndNamesWhatHadBegun) {
    auto const run = *folder / "dead";
    auto const output = begin_and_send("KILL", run).output;
    auto const status = status_of(run);
    EXPECT_EQ(status["state"], "dead") << output;
    EXPECT_EQ(status["live"], false);
    ASSERT_FALSE(status["running"].empty()) << output;
    EXPECT_TRUE(status["running"][0]["label"].get<std::string>().starts_with("train ")) << status;
    auto const text = samner_command(fmt::format("status '{}'", run.string())).output;
    EXPECT_THAT(text, HasSubstr("run the same command again"));
    EXPECT_THAT(text, HasSubstr("had begun: train "));
}

TEST_F(TinyRun, ThatWasStoppedNamesTheSignal) {
    auto const run = *folder / "signalled";
    auto const output = begin_and_send("TERM", run).output;
    auto const status = status_of(run);
    EXPECT_EQ(status["state"], "stopped") << output;
    EXPECT_EQ(status["signal"], "SIGTERM");
    EXPECT_THAT(samner_command(fmt::format("status '{}'", run.string())).output, HasSubstr("stopped on SIGTERM"));
}

TEST(FailedRuns, NameWhatFailedByItsLabel) {
    TemporaryFolder const folder;
    auto const run = folder / "run";
    write_atomically(folder / "ill.yaml",
                     "experiment: ill\ntargets: [museum]\nlet: {ours: \"pool(travel, zoo)\"}\nrows:\n  base: base\n"
                     "  all: merge(ours)\n");
    // A learning rate without bounds makes the loss something that is no number.
    auto const result = samner_command(
        fmt::format("run {} --config configs/runs/tiny.yaml train.learning_rate=1e30 infer.max_new_tokens=4 --out {}",
                    (folder / "ill.yaml").string(), run.string()));
    ASSERT_EQ(result.code, 1) << result.output;
    auto const status = status_of(run);
    EXPECT_EQ(status["state"], "failed");
    EXPECT_EQ(status["share"], 1.0) << "what waits for a failure is not left to be done";
    ASSERT_EQ(status["failed"].size(), 2U) << status;
    EXPECT_EQ(count(status, "done"), 1);
    for (auto const& task : status["failed"]) EXPECT_FALSE(task["error"].get<std::string>().empty());
    EXPECT_THAT(samner_command(fmt::format("status {}", run.string())).output, HasSubstr("failed: train zoo: "));
}

/// How many tasks of each kind were started in a run folder that grows.
class GrowingRun : public testing::Test {
protected:
    using Kinds = std::map<std::string, int>;

    /// A command that runs these rows in a folder.
    std::string command(std::string const& targets, std::string const& rows, std::string const& settings,
                        fs::path const& in) const {
        auto const file = folder / (in.filename().string() + ".yaml");
        write_atomically(
            file,
            fmt::format("experiment: grow\ntargets: [{}]\nlet:\n  ours: pool(travel, zoo)\nrows:\n{}", targets, rows));
        return fmt::format(
            "run {} --config configs/runs/tiny.yaml train.max_steps=2 infer.max_new_tokens=8 {} --out {}",
            file.string(), settings, in.string());
    }
    /// Runs them and says which tasks that started.
    Kinds started(std::string const& targets, std::string const& rows, std::string const& settings = "") {
        return started_in(run, targets, rows, settings);
    }
    Kinds started_in(fs::path const& in, std::string const& targets, std::string const& rows,
                     std::string const& settings = "") {
        auto const before = all("started", in);
        auto const result = samner_command(command(targets, rows, settings, in));
        EXPECT_EQ(result.code, 0) << result.output;
        auto counts = all("started", in);
        for (auto const& [kind, count] : before) counts[kind] -= count;
        std::erase_if(counts, [](auto const& count) { return count.second == 0; });
        output = result.output;
        return counts;
    }
    /// How many journal records of a kind there are, by the kind of task.
    static Kinds all(std::string const& kind, fs::path const& in) {
        Kinds counts;
        if (!fs::exists(in / "journal")) return counts;
        for (auto const& record : store::replay_journal(in / "journal").records)
            if (record["kind"] == kind) ++counts[record["task"].get<std::string>()];
        return counts;
    }
    /// Which tasks a journal says so of, with the SHA-256 of what they left, each once.
    static std::map<std::string, std::string> keys(std::string const& kind, fs::path const& in) {
        std::map<std::string, std::string> hashes;
        for (auto const& record : store::replay_journal(in / "journal").records) {
            if (record["kind"] != kind) continue;
            EXPECT_TRUE(hashes.emplace(record["key"], record.value("sha256", "")).second) << "twice: " << record;
        }
        return hashes;
    }

    TemporaryFolder const folder;
    fs::path const run = folder / "run";
    fs::path const second = folder / "second";
    fs::path const store = folder / "store";
    std::string const two = "  base: base\n  all: merge(ours)\n";
    std::string const more =
        "  sparse: merge(ours, density=0.2)\n  zoo: expert(ours, 2)\n  travel: expert(ours, 1)\n  chosen: "
        "merge(select(ours, sampling, 1))\n";
    std::string output;
};

TEST_F(GrowingRun, DoesOnlyWhatIsNewWhenRowsTargetsSettingsAndSeedsChange) {
    EXPECT_EQ(started("museum", two), (Kinds{{"train", 2}, {"merge", 1}, {"infer", 2}}));
    auto const three = two + "  sparse: merge(ours, density=0.2)\n";
    EXPECT_EQ(started("museum", three), (Kinds{{"merge", 1}, {"infer", 1}}));
    EXPECT_THAT(output, HasSubstr("the experiment has changed"));
    EXPECT_THAT(output, HasSubstr("2 tasks are new, 5 are there already, 0 earlier ones are not asked for any more"));
    EXPECT_EQ(started("museum, expedition", three), (Kinds{{"infer", 3}}));
    // The default density changes one row; the other names its own.
    EXPECT_EQ(started("museum, expedition", three, "merge.density=0.7"), (Kinds{{"merge", 1}, {"infer", 2}}));
    EXPECT_EQ(started("museum, expedition", three, "seeds=[0,1]"), (Kinds{{"train", 2}, {"merge", 2}, {"infer", 4}}));
    EXPECT_EQ(started("museum", two), Kinds{}) << "going back costs nothing";
    EXPECT_EQ(store::read_strings(run / "results.h5", "/cells/system"), (std::vector<std::string>{"base", "all"}));
    int versions = 0;
    for (auto const& record : store::replay_journal(run / "journal").records)
        versions += record["kind"] == "experiment";
    EXPECT_EQ(versions, 6);
}

TEST_F(TinyRun, RefusesAFolderThatALiveRunHolds) {
    auto const run = *folder / "held";
    auto const result =
        run_command(fmt::format("({0} {1} --out {2} >/dev/null 2>&1 &) ; for i in $(seq 100); do [ -e {2}/journal ] && "
                                "break; sleep 0.05; done; {0} {1} --out {2}",
                                SAMNER_BINARY, experiment, run.string()));
    EXPECT_EQ(result.code, 73) << result.output;
    run_command(fmt::format("pkill -f -- '--out {}' ; sleep 0.3; true", run.string()));
}

TEST(Teams, TrainAndMergeWhatNothingElseIsReadyBesideToTheSameBits) {
    TemporaryFolder const folder;
    write_atomically(folder / "teams.yaml",
                     "experiment: teams\ntargets: [museum]\nlet:\n  ours: pool(travel, zoo)\nrows:\n  merge_all: "
                     "merge(ours)\n");
    std::map<int, std::map<std::string, std::string>> hashes;
    for (int const ranks : {1, 4}) {
        auto const run = folder / fmt::format("ranks{}", ranks);
        auto const result =
            samner_command(fmt::format("run {} --config configs/runs/tiny.yaml train.max_steps=3 --out {} -n {}",
                                       (folder / "teams.yaml").string(), run.string(), ranks));
        ASSERT_EQ(result.code, 0) << result.output;
        hashes[ranks] = artifacts(run);
        std::map<std::string, std::size_t> members;
        for (auto const& record : store::replay_journal(run / "journal").records) {
            if (record["kind"] != "made") continue;
            auto& most = members[record["task"].get<std::string>()];
            most = std::max(most, record.contains("team") ? record["team"].size() : 1);
        }
        // Two trainings of two micro-batches a step share four ranks; the merge has them all.
        EXPECT_EQ(members.at("train"), ranks == 1 ? 1U : 2U);
        EXPECT_EQ(members.at("merge") > 1, ranks > 1);
        EXPECT_EQ(members.at("infer"), 1U);
    }
    EXPECT_EQ(hashes[1], hashes[4]);
}

TEST_F(GrowingRun, UsesWhatAnotherFolderOnItsStoreHasDone) {
    auto const shared = " --store " + store.string();
    EXPECT_EQ(started("museum", two, shared), (Kinds{{"train", 2}, {"merge", 1}, {"infer", 2}}));
    // A row, a density, a target more in a second folder: the experts are there.
    auto const three = two + "  sparse: merge(ours, density=0.2)\n";
    EXPECT_EQ(started_in(second, "museum, expedition", three, shared), (Kinds{{"merge", 1}, {"infer", 4}}));
    EXPECT_THAT(output, HasSubstr("5 tasks are new, 5 are there already"));
    EXPECT_EQ(all("reused", second), (Kinds{{"train", 2}, {"merge", 1}, {"infer", 2}}));
    // The first folder then needs nothing of that, and gives the same numbers; nor does it when it goes back.
    EXPECT_EQ(started("museum, expedition", three), Kinds{}) << "its store is where it was";
    auto const grid = output.substr(output.find("grow:"));
    EXPECT_EQ(started_in(second, "museum, expedition", three), Kinds{});
    EXPECT_EQ(output.substr(output.find("grow:")).substr(0, grid.find("results:")),
              grid.substr(0, grid.find("results:")));
    EXPECT_EQ(started("museum", two), Kinds{});
    EXPECT_EQ(started("museum", two, "seeds=[0,1]"), (Kinds{{"train", 2}, {"merge", 1}, {"infer", 1}}));
    // Every hash that a journal has of a task is the same.
    auto hashes = keys("made", run);
    for (auto const& [key, hash] : keys("reused", second)) EXPECT_EQ(hashes.at(key), hash);
    for (auto const& [key, hash] : keys("made", second)) EXPECT_TRUE(hashes.emplace(key, hash).second) << "made twice";
    for (auto const& [key, hash] : artifacts(run)) EXPECT_EQ(hashes.at(key), hash);
}

TEST_F(GrowingRun, SharesTheWorkWithAnotherOnItsStoreAtTheSameTime) {
    for (int const ranks : {1, 2}) {
        auto const name = [&](char const* of) { return folder / fmt::format("{}-{}", of, ranks); };
        auto const settings = fmt::format("--store {} -n {} threads=1", name("store").string(), ranks);
        auto const result =
            run_command(fmt::format("{0} {1} & one=$!; {0} {2}; two=$?; wait $one; echo codes $? $two", SAMNER_BINARY,
                                    command("museum, expedition", two + more, settings, name("one")),
                                    command("museum, expedition", two + more, settings, name("two"))));
        ASSERT_THAT(result.output, HasSubstr("codes 0 0"));
        auto made = keys("made", name("one"));
        auto const others = keys("made", name("two"));
        for (auto const& [key, hash] : keys("reused", name("two"))) EXPECT_EQ(made.at(key), hash);
        for (auto const& [key, hash] : keys("reused", name("one"))) EXPECT_EQ(others.at(key), hash);
        for (auto const& [key, hash] : others) EXPECT_TRUE(made.emplace(key, hash).second) << "made twice: " << key;
        EXPECT_EQ(made, artifacts(name("one")));
        EXPECT_EQ(made.size(), keys("started", name("one")).size() + keys("started", name("two")).size());
        EXPECT_FALSE(others.empty()) << "both have worked";
        for (auto const* of : {"one", "two"}) EXPECT_TRUE(keys("expired", name(of)).empty());
        EXPECT_EQ(store::read_double(name("one") / "results.h5", "/cells/f1"),
                  store::read_double(name("two") / "results.h5", "/cells/f1"));
        EXPECT_TRUE(fs::is_empty(name("store") / ".claims"));
    }
}

TEST_F(GrowingRun, FinishesWhatAnotherOnItsStoreHadBegunWhenItWasKilled) {
    auto const settings = fmt::format("--store {} threads=1", store.string());
    // The first is killed while it trains; the second waits for it, and then does not any more.
    auto const result = run_command(fmt::format(
        "{0} {1} train.max_steps=150 & one=$!; for i in $(seq 200); do [ -n \"$(ls {3}/.claims 2>/dev/null)\" ] && "
        "break; sleep 0.05; done; {0} {2} train.max_steps=150 & two=$!; sleep 1; kill -KILL $one; wait $two; "
        "echo code $?",
        SAMNER_BINARY, command("museum", two, settings, run), command("museum", two, settings, second),
        store.string()));
    ASSERT_THAT(result.output, HasSubstr("code 0"));
    EXPECT_THAT(result.output, HasSubstr("had claimed it, and died"));
    auto const expired = keys("expired", second);
    EXPECT_EQ(expired.size(), 1U) << "one rank, one task";
    auto made = keys("made", second);
    EXPECT_TRUE(made.contains(expired.begin()->first));
    // The killed one goes on with what the other has done.
    auto const again = samner_command(command("museum", two, settings + " train.max_steps=150", run));
    EXPECT_EQ(again.code, 0) << again.output;
    made.merge(keys("made", run));
    EXPECT_EQ(made, artifacts(run));
}

TEST_F(GrowingRun, IsPlannedWithReasonsForWhatIsNotDone) {
    started("museum", two);
    auto const planned = [&](std::string const& rows, std::string const& settings) {
        auto const words = command("museum", rows, settings, run);
        return samner_command("plan" + words.substr(words.find(' '))).output;
    };
    EXPECT_EQ(planned(two, "").find("not done"), std::string::npos);
    auto const sparse = two + "  sparse: merge(ours, density=0.2)\n";
    EXPECT_THAT(planned(sparse, ""),
                AllOf(HasSubstr("infer         1: waits for others"),
                      HasSubstr("merge         1: is new: differs from what is there in density")));
    auto const other = planned(two, "train.learning_rate=0.001");
    EXPECT_THAT(other, HasSubstr("train         2: is new: differs from what is there in options.learning_rate"));
    // Of one task: what differs, with values.
    auto const json = command("museum", sparse, "--json", run);
    std::string key;
    auto const document = Json::parse(samner_command("plan" + json.substr(json.find(' '))).output);
    for (auto const& task : document["tasks"])
        if (task["kind"] == "merge" && task["state"] == "waiting") key = task["key"];
    EXPECT_THAT(planned(sparse, "--why " + key.substr(0, 16)),
                AllOf(HasSubstr("merge travel+zoo " + key), HasSubstr("density: 0.5, 0.2")));
    EXPECT_THAT(planned(sparse, "--why 0x"), HasSubstr("0 tasks of this plan have a key that begins with '0x'"));
    for (auto const& entry : fs::directory_iterator{run / "artifacts"})
        if (fs::is_regular_file(entry)) fs::remove(entry);
    EXPECT_THAT(planned(two, ""), HasSubstr("its artifact is missing or was altered"));
}

TEST_F(GrowingRun, GivesBackTheRoomOfWhatNoRunNeeds) {
    auto const shared = "--store " + store.string();
    std::string const delta = "  sparse: merge(ours, density=0.2, space=delta)\n";
    started("museum", two, shared);
    started_in(second, "museum", delta, shared);
    auto const gc = [&](std::string const& words) { return samner_command("gc " + store.string() + words); };
    auto const before = artifacts(run);
    // Nothing of what any version of a run needs goes.
    started("museum", "  base: base\n");
    EXPECT_THAT(gc(" --delete").output, HasSubstr("not needed: 0"));
    EXPECT_EQ(artifacts(run), before);
    // Of the present ones: the second run's experts, which its pass merges, and its and the base's predictions.
    EXPECT_THAT(gc(" --only-present").output, AllOf(HasSubstr("merge travel+zoo"), HasSubstr("nothing was removed")));
    EXPECT_EQ(artifacts(run), before);
    EXPECT_THAT(gc(" --only-present --delete").output, HasSubstr("removed 2 results"));
    EXPECT_EQ(started("museum", "  base: base\n"), Kinds{});
    EXPECT_EQ(started_in(second, "museum", delta), Kinds{});
    EXPECT_EQ(started("museum", two), (Kinds{{"merge", 1}, {"infer", 1}}));
    // A run that is not there any more needs nothing, once that is said.
    fs::remove_all(second);
    auto const refused = gc(" --delete");
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.output, HasSubstr("--forget-missing"));
    EXPECT_THAT(gc(" --delete --forget-missing").output, HasSubstr("removed 1 results"));
    EXPECT_EQ(started("museum", two), Kinds{});
    EXPECT_EQ(samner_command("gc " + folder.path().string()).code, 2);
}

TEST_F(GrowingRun, GivesBackNothingOfARunThatWasMovedNorWhatIsNotItsOwn) {
    auto const shared = "--store " + store.string();
    started("museum", two, shared);
    write_atomically(store / "notes.partial", "mine\n");
    auto const before = artifacts(run);
    auto const gc = [&](fs::path const& of, std::string const& words) {
        return samner_command("gc " + of.string() + words);
    };
    fs::rename(run, folder / "kept");
    EXPECT_THAT(gc(folder / "kept", " --delete").output, HasSubstr("not needed: 0")) << "it is known by its id";
    started("museum", "  base: base\n", "train.max_steps=3 " + shared);  // another run in its place
    auto const refused = gc(store, " --delete");
    EXPECT_EQ(refused.code, 2) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr("not there"));
    EXPECT_EQ(artifacts(folder / "kept"), before);
    EXPECT_EQ(read_text(store / "notes.partial"), "mine\n");
    write_atomically(folder / "kept/journal", "");
    EXPECT_THAT(gc(folder / "kept", " --delete").output, HasSubstr("is empty"));
    fs::remove_all(store / ".runs");
    EXPECT_EQ(gc(store, " --delete").code, 2);
    EXPECT_EQ(artifacts(run), before);
}

TEST_F(GrowingRun, DoesAgainWhatAnAlteredRecordOfItsStoreTellsOf) {
    auto const rows = "  chosen: merge(select(ours, similarity, 1))\n";
    auto const shared = "--store " + store.string();
    started("museum", rows, shared);
    for (auto const& entry : fs::directory_iterator{store / ".records"}) {
        auto text = read_text(entry);
        auto const at = text.find("\"chosen\"");
        if (at == std::string::npos) continue;
        auto const name = text.find("zoo", at) < text.find("travel", at) ? "zoo" : "travel";
        text.replace(text.find(name, at), std::string{name}.size(), "nobody");
        write_atomically(entry, text);
    }
    EXPECT_EQ(started_in(second, "museum", rows, shared), (Kinds{{"select", 1}}));
    EXPECT_THAT(output, HasSubstr("cannot be used: its digest is another one"));
}

TEST_F(GrowingRun, EndsRatherThanUseWhatWasAlteredUnderWay) {
    auto const result = run_command(fmt::format(
        "{0} {1} & run=$!; for i in $(seq 400); do f=$(ls {2}/artifacts/*/adapter_model.safetensors 2>/dev/null | grep "
        "-v partial | head -1); [ -n \"$f\" ] && break; sleep 0.02; done; printf altered | dd of=$f bs=1 seek=60000 "
        "conv=notrunc 2>/dev/null; wait $run; echo code $?",
        SAMNER_BINARY, command("museum", two, "train.max_steps=60 threads=1", run), run.string()));
    EXPECT_THAT(result.output, HasSubstr("was altered while this run was under way"));
    EXPECT_THAT(result.output, HasSubstr("code 74"));
    EXPECT_EQ(samner_command(command("museum", two, "train.max_steps=60 threads=1", run)).code, 0);
    started_in(second, "museum", two, "train.max_steps=60");
    EXPECT_EQ(artifacts(run), artifacts(second));
}

TEST_F(GrowingRun, AsksWhichStoreIsMeantWhereTheRunFileNamesAnother) {
    started("museum", "  base: base\n", "--store " + store.string());
    auto const asked = samner_command(command("museum", "  base: base\n", "store=" + (folder / "other").string(), run));
    EXPECT_EQ(asked.code, 2);
    EXPECT_THAT(asked.output, HasSubstr("say --store which of them it is to be"));
    EXPECT_EQ(started("museum", "  base: base\n", "--store " + (folder / "other").string()), (Kinds{{"infer", 1}}));
    EXPECT_THAT(output, HasSubstr("it was '" + store.string() + "'"));
}

TEST_F(GrowingRun, KeepsItsStoreWholeWhileItIsLive) {
    auto const result = run_command(fmt::format(
        "{0} {1} & run=$!; for i in $(seq 200); do [ -n \"$(ls {2}/.claims 2>/dev/null)\" ] && break; sleep 0.05; "
        "done; "
        "{0} gc {2} --delete; echo code $?; wait $run",
        SAMNER_BINARY, command("museum", two, "train.max_steps=100 --store " + store.string(), run), store.string()));
    EXPECT_THAT(result.output, HasSubstr("is live: nothing was removed"));
    EXPECT_THAT(result.output, HasSubstr("code 73"));
}

TEST_F(GrowingRun, LeadsFromCellsToTheirFiles) {
    started("museum", two + "  chosen: merge(select(ours, sampling, 1))\n", "seeds=[0,1]");
    for (int const seed : {0, 1}) {
        auto const cell = [&](char const* row) {
            return run / "by-name/grow" / row / fmt::format("museum/seed-{}", seed);
        };
        EXPECT_TRUE(fs::is_regular_file(cell("base") / "predictions-1.jsonl"));
        EXPECT_FALSE(fs::exists(cell("base") / "adapter-1"));
        EXPECT_TRUE(fs::exists(cell("all") / "adapter-1/adapter_config.json"));
        EXPECT_THAT(read_text(cell("chosen") / "selection-1.json"), HasSubstr("\"chosen\""));
    }
    auto const keys = store::read_strings(run / "results.h5", "/cells/predictions");
    ASSERT_EQ(keys.size(), 6U);
    for (auto const& key : keys) EXPECT_TRUE(fs::is_regular_file(run / "artifacts" / key)) << key;
    auto const links = [&] { return FileStamp::of(run / "by-name"); };
    auto const before = links();
    started("museum", two + "  chosen: merge(select(ours, sampling, 1))\n", "seeds=[0,1]");
    EXPECT_EQ(links(), before) << "what is as it should be was made anew";
    auto const altered = run / "by-name/grow/all/museum/seed-0/adapter-1";
    fs::remove(altered);
    fs::create_symlink("nowhere", altered);
    started("museum", two + "  chosen: merge(select(ours, sampling, 1))\n", "seeds=[0,1]");
    EXPECT_TRUE(fs::exists(altered)) << "a link that leads elsewhere is mended";
    fs::rename(run, folder / "moved");  // the links are relative
    EXPECT_TRUE(fs::exists(folder / "moved/by-name/grow/all/museum/seed-0/adapter-1/adapter_config.json"));
}

TEST_F(GrowingRun, WithResultsOfItsOwnDoesNotMoveToAStoreUnasked) {
    started("museum", "  base: base\n");
    auto const result = samner_command(command("museum", two, "--store " + store.string(), run));
    EXPECT_EQ(result.code, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("holds results of its own"));
    // What was refused changes nothing.
    EXPECT_EQ(started("museum", "  base: base\n", "--frozen"), Kinds{});
}

TEST(Operators, OfSetsSamplesAndClustersGiveTheSameOnAnyNumberOfRanks) {
    TemporaryFolder const folder;
    write_atomically(folder / "operators.yaml",
                     "experiment: operators\ntargets: [museum]\nlet:\n  ours: pool(travel, zoo, workshop)\nrows:\n"
                     "  united: merge(unite(select(ours, similarity, 2), select(ours, sampling, 2), cut=2))\n"
                     "  both: merge(intersect(select(ours, similarity, 1), select(ours, sampling, 1)))\n"
                     "  answers: merge(select(ours, sampling, 2, k=4, answers=3))\n"
                     "  drawn: vote(sample(expert(ours, zoo), n=3, temperature=0.7))\n"
                     "  split: split(target, 2, union(merge(select(ours, similarity, 2)), expert(ours, zoo)))\n");
    std::map<int, std::map<std::string, std::string>> hashes;
    for (int const ranks : {1, 2}) {
        auto const run = folder / fmt::format("ranks{}", ranks);
        auto const result =
            samner_command(fmt::format("run {} --config configs/runs/tiny.yaml train.max_steps=4 --out {} -n {}",
                                       (folder / "operators.yaml").string(), run.string(), ranks));
        ASSERT_EQ(result.code, 0) << result.output;
        hashes[ranks] = artifacts(run);
        for (auto const sentences : store::read_int64(run / "results.h5", "/cells/sentences")) EXPECT_EQ(sentences, 24);
        // Each cluster is answered by itself.
        std::int64_t answered = 0;
        for (auto const& entry : fs::directory_iterator{run / "by-name/operators/split/museum"}) {
            if (!entry.path().filename().string().starts_with("predictions-")) continue;
            for_each_line(read_text(entry), [&](std::string_view, std::size_t) { ++answered; });
        }
        EXPECT_EQ(answered, 2 * 24);
    }
    EXPECT_EQ(hashes[1], hashes[2]);
}

TEST(MixedDomains, SplitEachDomainsSamplesAmongTheExpertsOnAnyNumberOfRanks) {
    TemporaryFolder const folder;
    write_atomically(folder / "mixed.yaml",
                     "experiment: mixed\ntargets: [museum]\nlet:\n  ours: pool(mix(pool(travel, zoo, workshop), 3))\n"
                     "for: {i: [1, 2, 3]}\nrows:\n  \"expert_{i}\": \"expert(ours, {i})\"\n  sam: merge(select(ours, "
                     "similarity, 2))\n");
    std::map<int, std::map<std::string, std::string>> hashes;
    for (int const ranks : {1, 2}) {
        auto const run = folder / fmt::format("ranks{}", ranks);
        auto const result = samner_command(
            fmt::format("run {} --config configs/runs/tiny.yaml train.max_steps=2 prompt.parts=paper --out {} -n {}",
                        (folder / "mixed.yaml").string(), run.string(), ranks));
        ASSERT_EQ(result.code, 0) << result.output;
        hashes[ranks] = artifacts(run);
        std::vector<std::int64_t> trained_on;
        for (auto const& record : store::replay_journal(run / "journal").records) {
            if (record["kind"] == "made" && record["result"].contains("samples"))
                trained_on.push_back(record["result"]["samples"].get<std::int64_t>());
        }
        ASSERT_EQ(trained_on.size(), 3U);
        EXPECT_EQ(trained_on[0] + trained_on[1] + trained_on[2], 3 * 96);
    }
    EXPECT_EQ(hashes[1], hashes[2]);
}

}  // namespace
}  // namespace samner
