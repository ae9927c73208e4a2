#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "command.h"
#include "core/file.h"
#include "core/json.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Each is exit code 2 with one error that names place and remedy, and nothing is run.
class BadInput : public testing::Test {
protected:
    void expect_refused(std::string const& settings, testing::Matcher<std::string> const& message) {
        for (auto const* ranks : {"", " -n 2"}) {
            auto const run = folder / "run";
            auto const result =
                samner_command(fmt::format("run experiments/tiny.yaml --out {} {}{}", run.string(), settings, ranks));
            EXPECT_EQ(result.code, 2) << result.output;
            EXPECT_THAT(result.output, message);
            EXPECT_FALSE(fs::exists(run / "journal")) << result.output;
            EXPECT_EQ(result.output.find("error:"), result.output.rfind("error:")) << result.output;
        }
    }
    TemporaryFolder folder;
};

TEST_F(BadInput, AMisspeltKey) {
    expect_refused("train.learning_rte=1",
                   AllOf(HasSubstr("unknown training option learning_rte"), HasSubstr("did you mean learning_rate?")));
}

TEST_F(BadInput, AMisspeltKeyOfTheRunFile) {
    expect_refused("merge.densty=1",
                   AllOf(HasSubstr("unknown key merge.densty"), HasSubstr("did you mean merge.density?")));
}

TEST_F(BadInput, AnUnknownCorpus) {
    expect_refused("experts.zoo.datasets=[tiny-zo]",
                   AllOf(HasSubstr("unknown data set 'tiny-zo'"), HasSubstr("did you mean 'tiny-zoo'?")));
}

TEST_F(BadInput, AMissingModel) {
    expect_refused("base=absent.gguf", HasSubstr("absent.gguf"));
}

TEST_F(BadInput, ATruncatedModel) {
    auto const model = folder / "model";
    fs::copy(fs::path{SAMNER_SOURCE_DIR} / "tests/data/tiny", model, fs::copy_options::recursive);
    fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") / 2);
    expect_refused(fmt::format("base={}", model.string()), HasSubstr("model.safetensors"));
}

TEST_F(BadInput, ACorpusWithABrokenLine) {
    auto const data = folder / "data";
    fs::create_directories(data);
    fs::copy(fs::path{SAMNER_SOURCE_DIR} / "tests/data/tiny/corpora", data / "corpora", fs::copy_options::recursive);
    std::ofstream{data / "corpora/tiny-zoo/train.tsv", std::ios::app} << "broken line\n";
    expect_refused(fmt::format("data={}", data.string()),
                   AllOf(HasSubstr("too few columns in 'broken line'"), HasSubstr("train.tsv:")));
}

TEST_F(BadInput, AMissingCorpusFile) {
    expect_refused(fmt::format("data={}", folder.path().string()), HasSubstr("is missing"));
}

TEST_F(BadInput, ARunFolderThatCannotBeWritten) {
    std::ofstream{folder / "file"} << "x";
    auto const result =
        samner_command(fmt::format("run experiments/tiny.yaml --out {}", (folder / "file" / "run").string()));
    EXPECT_EQ(result.code, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("cannot create the run folder"));
}

/// @return the output of a call that is refused
std::string refused(std::string const& arguments) {
    auto const result = samner_command(arguments);
    EXPECT_EQ(result.code, 2) << arguments << "\n" << result.output;
    return result.output;
}

TEST_F(BadInput, AnAdapterForAVerbThatTakesNone) {
    EXPECT_THAT(refused("train --model tests/data/tiny --data tiny-zoo --adapter a --out b"), HasSubstr("--adapter"));
    EXPECT_THAT(refused("select --model tests/data/tiny --data tiny-zoo --experts a --adapter b"),
                HasSubstr("--adapter"));
}

TEST_F(BadInput, TypesThatAreEmptyTwiceOrNoText) {
    write_atomically(folder / "texts.jsonl", "{\"id\": 1, \"text\": \"a\"}\n");
    for (auto const* types : {"a,a", "' '", "'an\xff'"}) {
        EXPECT_THAT(refused(fmt::format("predict --model tests/data/tiny --in {} --types {} --out {}",
                                        (folder / "texts.jsonl").string(), types, (folder / "out").string())),
                    HasSubstr("--types"))
            << types;
    }
}

TEST_F(BadInput, AChoiceOfMoreExpertsThanThereAre) {
    for (auto const* m : {"0", "2", "-1"})
        EXPECT_THAT(refused(fmt::format("select --model tests/data/tiny --data tiny-zoo --experts a -m {}", m)),
                    HasSubstr(fmt::format("-m is {} with 1 experts", m)));
}

TEST_F(BadInput, AnswersOfASelectionThatMakeNoSense) {
    for (auto const& [options, message] : std::map<std::string, std::string>{
             {"--answers 0", "--answers is 0"},
             {"--answers 2 --temperature 0", "--temperature is 0"},
             {"--temperature 0.7", "no influence on a single answer"},
             {"--strategy similarity --answers 2", "no influence on --strategy similarity"}}) {
        EXPECT_THAT(refused(fmt::format("select --model tests/data/tiny --data tiny-zoo --experts a -m 1 {}", options)),
                    HasSubstr(message))
            << options;
    }
}

std::string const corpora =
    " --data tiny-zoo --configs tests/data/tiny/datasets --root tests/data/tiny --max-new-tokens 4";

/// Two experts and the domains of both.
class Selection : public BadInput {
protected:
    static void SetUpTestSuite() {
        shared = new TemporaryFolder;
        auto const texts = write("texts.jsonl", "{\"id\": 1, \"text\": \"The lion sleeps\"}\n");
        write("none.jsonl", "");
        for (auto const* name : {"near", "far"}) {
            make(fmt::format("train --model tests/data/tiny{} --out {} r=2 max_steps=1 batch_size=1",
                             corpora.substr(0, corpora.find(" --max")), at(name)));
            make(fmt::format("encode --encoder .deps/minilm --in {} --out {}.st", texts, at(name)));
        }
    }
    static void TearDownTestSuite() { delete shared; }
    static std::string at(std::string const& name) { return (*shared / name).string(); }
    static std::string write(std::string const& name, std::string const& text) {
        write_atomically(*shared / name, text);
        return at(name);
    }
    static void make(std::string const& command) {
        auto const result = samner_command(command);
        ASSERT_EQ(result.code, 0) << result.output;
    }
    static std::string select(std::string const& options, std::string const& texts = corpora) {
        return fmt::format("select --model tests/data/tiny{} -m 1 {}", texts, options);
    }
    static std::string experts() { return fmt::format("--experts {} {} ", at("near"), at("far")); }
    /// What a selection is refused with, before anything is sampled.
    static std::string refusal(std::string const& options, std::string const& texts = corpora) {
        auto output = refused(select(options, texts));
        EXPECT_EQ(output.find("sampling evaluation"), std::string::npos) << output;
        return output;
    }
    static TemporaryFolder* shared;
};
TemporaryFolder* Selection::shared = nullptr;

TEST_F(Selection, ChecksItsSettingsBeforeItSamples) {
    EXPECT_THAT(refusal(experts() + "--strategy samplng"), HasSubstr("did you mean sampling?"));
    EXPECT_THAT(refusal(experts() + "--strategy types"), HasSubstr("its card has no centroid — make its card"));
    EXPECT_THAT(refusal(fmt::format("{}--strategy types --encoder .deps/minilm --domains near={} far={}", experts(),
                                    at("near.st"), at("far.st"))),
                HasSubstr("--domains says nothing of the types"));
    for (auto const* k : {"0", "-3"})
        EXPECT_THAT(refusal(experts() + "-k " + k), HasSubstr(fmt::format("-k is {} (command line)", k)));
    EXPECT_THAT(refusal(experts() + "--layout shrt"), HasSubstr("shrt"));
    EXPECT_THAT(refusal(experts() + "--dtype fp8"), HasSubstr("fp8"));
    EXPECT_THAT(refusal(experts() + "--device abacus"), HasSubstr("abacus"));
    EXPECT_THAT(refusal(fmt::format("--experts {} {}/", at("near"), at("near"))), HasSubstr("twice"));
    EXPECT_THAT(refusal(fmt::format("--experts {} {}", at("near"), at("absent"))), HasSubstr("absent"));
    EXPECT_THAT(refusal(fmt::format("--experts {} --strategy similarity --encoder .deps/minilm --domains absent={}",
                                    at("absent"), at("near.st"))),
                HasSubstr("absent"));
    EXPECT_THAT(refusal(experts(), fmt::format(" --in {} --types animal", at("none.jsonl"))),
                HasSubstr("no texts to choose experts by"));
}

TEST_F(Selection, AsksForDomainsOrCards) {
    for (auto const* strategy : {"similarity", "fused"})
        EXPECT_THAT(refusal(fmt::format("{} --strategy {}", experts(), strategy)), HasSubstr("--domains EXPERT=FILE"));
    EXPECT_THAT(refusal(experts() + "--encoder .deps/minilm"),
                AllOf(HasSubstr("near' cannot be compared with the texts"), HasSubstr("samner card")));
    EXPECT_THAT(refusal(fmt::format("{}--strategy similarity --domains near={} far={}", experts(), at("near.st"),
                                    at("far.st"))),
                HasSubstr("--domains is given without --encoder"));
}

TEST_F(Selection, BindsDomainsToExpertsByNameSoThatNoOrderIsWrong) {
    auto const similar = experts() + "--strategy similarity --encoder .deps/minilm --domains ";
    EXPECT_THAT(refusal(similar + at("near.st") + " " + at("far.st")),
                AllOf(HasSubstr("does not say whose domain it is"), HasSubstr("write EXPERT=FILE")));
    EXPECT_THAT(refusal(similar + "naer=x.st"), HasSubstr("did you mean near?"));
    EXPECT_THAT(refusal(similar + "near=" + at("near.st")),
                AllOf(HasSubstr("far' has no domain"), HasSubstr("far=FILE")));
    EXPECT_THAT(refusal(fmt::format("{}near={} {}={}", similar, at("near.st"), at("near"), at("far.st"))),
                HasSubstr("has two domains"));
    EXPECT_THAT(refusal(fmt::format("{}near={} far={}", similar, at("near.st"), at("absent.st"))),
                HasSubstr("absent.st"));
    // In either order, by the whole path or its last part.
    write("zoo.jsonl", "{\"id\": 1, \"text\": \"The lion sleeps in its cage\"}\n");
    write("law.jsonl", "{\"id\": 1, \"text\": \"The appellant has a right to be heard\"}\n");
    for (auto const* name : {"zoo", "law"})
        make(fmt::format("encode --encoder .deps/minilm --in {0}.jsonl --out {0}.st", at(name)));
    auto const texts = fmt::format(" --in {} --types animal", at("texts.jsonl"));
    for (auto const& domains : {fmt::format("near={} far={}", at("zoo.st"), at("law.st")),
                                fmt::format("{}/={} near={}", at("far"), at("law.st"), at("zoo.st")),
                                fmt::format("{}={} {}={}", at("far"), at("law.st"), at("near"), at("zoo.st"))}) {
        auto const result = samner_command(select(similar + domains, texts));
        EXPECT_EQ(result.code, 0) << result.output;
        EXPECT_THAT(result.output, testing::StartsWith(at("near") + " ")) << domains;
    }
    fs::create_directories(*shared / "other");
    fs::copy(*shared / "near", *shared / "other/near");
    auto const of_one_name = [](std::string const& domain) {
        return fmt::format("--experts {0} {0}/../other/near --strategy similarity --encoder .deps/minilm --domains {1}",
                           at("near"), domain);
    };
    EXPECT_THAT(refusal(of_one_name("near=" + at("near.st"))), HasSubstr("may mean"));
    EXPECT_THAT(refusal(of_one_name(fmt::format("{}={}", at("near"), at("near.st")))),
                HasSubstr("/other/near' has no domain"));
}

TEST_F(Selection, ByCardsIsThatByDomainsOfTheSameTexts) {
    write("zoo.jsonl", "{\"id\": 1, \"text\": \"The lion sleeps in its cage\"}\n");
    write("law.jsonl", "{\"id\": 1, \"text\": \"The appellant has a right to be heard\"}\n");
    fs::create_directories(*shared / "library");
    for (auto const& [name, texts, types] : {std::tuple{"far", "law", "court"}, std::tuple{"near", "zoo", "animal"}}) {
        fs::copy(*shared / name, *shared / "library" / name);
        make(fmt::format("card {} --encoder .deps/minilm --in {}.jsonl --types {}", at("library/") + name, at(texts),
                         types));
        make(fmt::format("encode --encoder .deps/minilm --in {0}.jsonl --out {0}-card.st", at(texts)));
    }
    auto const texts = fmt::format(" --in {} --types animal", at("texts.jsonl"));
    auto const answer = [&](std::string const& options) {
        auto const result = samner_command(select(options + " --json 2>/dev/null", texts));
        EXPECT_EQ(result.code, 0) << options << result.output;
        return parse_json(result.output, "select --json");
    };
    for (auto const* strategy : {"similarity", "fused --max-new-tokens 2"}) {
        auto const by_cards = answer(fmt::format("--experts {} --strategy {}", at("library"), strategy));
        auto const by_domains =
            answer(fmt::format("--experts {}/far {}/near --strategy {} --encoder .deps/minilm --domains far={} near={}",
                               at("library"), at("library"), strategy, at("law-card.st"), at("zoo-card.st")));
        EXPECT_EQ(by_cards, by_domains);
        EXPECT_EQ(by_cards.at("chosen").at(0), at("library/near"));
    }
    auto const by_types = answer(fmt::format("--experts {} --strategy types", at("library")));
    EXPECT_EQ(by_types.at("chosen").at(0), at("library/near"));
    EXPECT_NEAR(by_types.at("type_similarity").at(at("library/near")).get<double>(), 1, 1e-6) << "animal and animal";
    EXPECT_LT(by_types.at("type_similarity").at(at("library/far")).get<double>(), 0.9);
    // A card of other weights is as good as none.
    auto card = parse_json(read_text(*shared / "library/near/samner.json"), "card");
    card["adapter"] = std::string(64, '0');
    write("library/near/samner.json", to_text(card));
    EXPECT_THAT(refusal(fmt::format("--experts {} --strategy similarity", at("library")), texts),
                AllOf(HasSubstr("library/near"), HasSubstr("is of other weights")));
}

TEST_F(Selection, AndPredictionAskAsTheCardsSayUnlessToldOtherwise) {
    make(
        fmt::format("train --model tests/data/tiny{} --layout short --format enumeration --out {} r=2 max_steps=1 "
                    "batch_size=1",
                    corpora.substr(0, corpora.find(" --max")), at("short")));
    auto of_training = corpora;
    of_training.insert(of_training.find(" --configs"), ":train");
    auto const predict = [&](std::string const& options) {
        auto const result = samner_command(fmt::format("predict --model tests/data/tiny --adapter {}{} --out {} {}",
                                                       at("short"), of_training, at("out.jsonl"), options));
        EXPECT_EQ(result.code, 0) << result.output;
        auto const text = read_text(*shared / "out.jsonl");
        fs::remove(*shared / "out.jsonl");
        return std::pair{text, result.output};
    };
    auto const as_trained = predict("");
    EXPECT_EQ(as_trained.first, predict("--layout short --format enumeration").first);
    EXPECT_THAT(as_trained.second, Not(HasSubstr("was trained with")));
    auto const otherwise = predict("--layout full --format json");
    EXPECT_NE(as_trained.first, otherwise.first);
    EXPECT_THAT(otherwise.second, HasSubstr("was trained with --layout short --format enumeration"));
    EXPECT_THAT(refusal(fmt::format("--experts {} {} -k 1", at("near"), at("short"))),
                HasSubstr("the experts' cards name different prompts"));
}

TEST_F(BadInput, TextsOfBothKindsOrOfNone) {
    for (auto const* verb : {"predict --out x", "select --experts a -m 1"}) {
        auto const of = [&](std::string const& options) {
            return refused(fmt::format("{} --model tests/data/tiny {}", verb, options));
        };
        EXPECT_THAT(of("--data tiny-zoo --in x.jsonl"),
                    HasSubstr("both --data tiny-zoo and --in x.jsonl are given (command line)"));
        EXPECT_THAT(of(""), HasSubstr("neither --data nor --in is given"));
        EXPECT_THAT(of("--in x.jsonl"), HasSubstr("--in is given without --types"));
        EXPECT_THAT(of("--data tiny-zoo --types a"), HasSubstr("--types is given with --data"));
    }
}

TEST_F(BadInput, SettingsOfATrainingThatAreMisspelt) {
    auto const of = [&](std::string const& settings) {
        auto output = refused(
            "train --model tests/data/tiny --data tiny-zoo --configs tests/data/tiny/datasets "
            "--root tests/data/tiny --out " +
            (folder / "out").string() + " " + settings);
        EXPECT_FALSE(fs::exists(folder / "out"));
        return output;
    };
    EXPECT_THAT(of("lr=1e-3"), HasSubstr("lr (command line: lr=1e-3) — did you mean learning_rate?"));
    EXPECT_THAT(of("max_steps 3"), HasSubstr("'max_steps' is not key=value (command line) — write max_steps=3"));
    EXPECT_THAT(of("r=2 max_steps"), HasSubstr("write max_steps=VALUE"));
    EXPECT_THAT(of("train.max_steps=3"), HasSubstr("leave out its section: max_steps=3"));
    EXPECT_THAT(of("r=abc"), HasSubstr("'r' is \"abc\" (command line: r=abc) — give it a whole number"));
    EXPECT_THAT(of("r=2 max_steps=0"), HasSubstr("max_steps is 0 (command line: max_steps=0) — give it -1, or 1"));
    EXPECT_THAT(of("max_steps=-5"), HasSubstr("max_steps is -5"));
    EXPECT_THAT(of("r=100000"), AllOf(HasSubstr("is 100000"), HasSubstr("or less")));
    EXPECT_THAT(of("target_modules=[x_proj]"), HasSubstr("x_proj"));
}

TEST_F(BadInput, ARankThatIsLargerThanTheModel) {
    expect_refused("train.r=100000", AllOf(HasSubstr("is 100000"), HasSubstr("or less")));
}

TEST_F(BadInput, AWordThatIsNeitherAFileNorASetting) {
    expect_refused("train.max_steps 3",
                   AllOf(HasSubstr("no experiment file 'train.max_steps' (command line)"), HasSubstr("key=value")));
}

TEST_F(BadInput, AValueOfTheCommandLineIsBlamedOnTheCommandLine) {
    expect_refused("merge.density=2", HasSubstr("merge density is 2 (command line: merge.density=2)"));
    expect_refused("train.max_steps=-5", HasSubstr("max_steps is -5 (command line: train.max_steps=-5)"));
}

TEST_F(BadInput, NoDataRootIsToldToWhomAsItCanBeNamed) {
    auto const without = [](std::string const& arguments) {
        return run_command(fmt::format("env -u SAMNER_DATA {} {}", SAMNER_BINARY, arguments)).output;
    };
    for (auto const* verb : {"train --out x", "predict --out x"})
        EXPECT_THAT(
            without(fmt::format("{} --model tests/data/tiny --data tiny-zoo --configs tests/data/tiny/datasets", verb)),
            HasSubstr("no data root is named — give --root DIR, or set SAMNER_DATA"));
    EXPECT_THAT(without("data verify"), HasSubstr("give --root DIR, or set SAMNER_DATA"));
    EXPECT_THAT(without("plan experiments/tiny.yaml data='\"\"'"), HasSubstr("set `data` in the run file, or set"));
}

TEST_F(BadInput, AnOwnCorpusThatCannotBeFetchedIsToldToBePutInItsPlace) {
    fs::create_directories(folder / "described");
    write_atomically(folder / "described/own.yaml",
                     "id: own\ndomain: d\ndescription: s\nsplits: {train: [{file: own/a.tsv}], test: [{file: "
                     "own/b.tsv}]}\ntypes: [{label: x}]\n");
    auto const options = fmt::format("--configs {} --root {}", (folder / "described").string(), folder.path().string());
    EXPECT_THAT(refused("data fetch own " + options),
                AllOf(HasSubstr("put own/b.tsv, own/a.tsv under the data root yourself"), Not(HasSubstr("()"))));
    EXPECT_THAT(samner_command("data list " + options).output, Not(HasSubstr("()")));
}

TEST_F(BadInput, NumbersOutOfRange) {
    for (auto const* options : {"score --gold x --pred x --resamples -1", "run x --out x -n 0",
                                "predict --model m --out o --num-slots 0", "generate --model m --threads -1"}) {
        auto const output = refused(options);
        EXPECT_THAT(output, HasSubstr("is out of range, give it")) << options;
        EXPECT_LT(output.size(), 200U) << output;
    }
    EXPECT_THAT(refused("score --gold x --pred x --resamples many"), HasSubstr("give it 0 or more"));
}

TEST_F(BadInput, NoModulesToTrain) {
    expect_refused("train.target_modules=[]", HasSubstr("target_modules is empty"));
}

TEST(Predict, ReadsTextsOfAPathInAnyBytes) {
    TemporaryFolder const folder;
    auto const name = folder / "n\xff.jsonl";
    write_atomically(name, "{\"id\": 1, \"text\": \"The cat saw a dog .\"}\n");
    auto const result =
        samner_command(fmt::format("predict --model tests/data/tiny --in '{}' --types a --max-new-tokens 4 --out {}",
                                   name.string(), (folder / "out").string()));
    EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(BadInput, AnUnknownVerbOrOption) {
    EXPECT_THAT(refused("rnu x"), HasSubstr("'rnu' is no verb of samner (command line) — did you mean run?"));
    EXPECT_THAT(refused("pedict --model x"), HasSubstr("did you mean predict?"));
    EXPECT_THAT(refused("data lsit"),
                HasSubstr("'lsit' is no verb of samner data (command line) — did you mean list?"));
    EXPECT_THAT(refused("model tokenise x"), HasSubstr("did you mean tokenize?"));
    EXPECT_THAT(refused("help"), HasSubstr("did you mean samner --help?"));
    EXPECT_THAT(refused("frobnicate"), AllOf(HasSubstr("name one of run, plan, adapt"), HasSubstr("merge")));
    EXPECT_THAT(refused("data"), HasSubstr("samner data is given no verb"));
    EXPECT_THAT(refused("predict --modl x --data y --out z"),
                HasSubstr("--modl is no option of samner predict (command line) — did you mean --model?"));
    EXPECT_THAT(refused("merge a b --out x --densty 1"), HasSubstr("did you mean --density?"));
    EXPECT_THAT(refused("--json"), HasSubstr("samner is given no verb"));
    EXPECT_THAT(refused("merge a b --out x --weights 1,x"),
                HasSubstr("'1,x' is no list of numbers (command line: --weights) — give numbers, separated by commas"));
    EXPECT_THAT(refused("merge a b --out x --density x"), HasSubstr("'x' is no number (command line: --density)"));
    EXPECT_THAT(refused("merge a b --out x --rank 1.5"),
                HasSubstr("'1.5' is no whole number in range (command line: --rank)"));
    EXPECT_EQ(samner_command("run experiments/tiny.yaml --out x --densty 1").code, 2);
    EXPECT_EQ(samner_command("gc x").code, 2);
    EXPECT_EQ(samner_command("--version").code, 0);
    EXPECT_EQ(samner_command("data list --help").code, 0);
}

}  // namespace
}  // namespace samner
