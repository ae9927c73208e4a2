#include "work/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "log_capture.h"
#include "samples.h"

namespace samner::work {
namespace {

using testing::HasSubstr;

TaskRecord done(std::string const& key, Task const& task, Result result) {
    TaskRecord record;
    record.key = key;
    record.kind = kind_of(task);
    record.ok = true;
    record.sha256 = key_like('b');
    record.result = std::move(result);
    record.seconds = 1.5;
    record.rank = 3;
    return record;
}

std::string kind_name(Result const& result) {
    return std::string{std::visit([]<class T>(T const&) { return T::kind; }, result)};
}

TEST(Sealed, AreOneLineThatOpensToTheSame) {
    for (auto const& task : sample_tasks()) {
        auto const sealed = seal(task);
        EXPECT_EQ(sealed.find('\n'), std::string::npos);
        EXPECT_EQ(seal(open_task(sealed)), sealed);
    }
    for (auto const& result : sample_results()) EXPECT_EQ(seal(open_result(seal(result))), seal(result));
}

TEST(Sealed, TrainingsFromBeforeCutAnswersWereCountedOpen) {
    auto sealed = Json::parse(seal(Trained{5, {}, 2, 1}));
    sealed.erase("left_out");
    sealed.erase("cut");
    auto const trained = std::get<Trained>(open_result(sealed.dump()));
    EXPECT_EQ(trained.samples, 5);
    EXPECT_FALSE(trained.left_out);
    EXPECT_FALSE(trained.cut);
}

TEST(Sealed, ResultsAreNamedAsTheKindOfTheirTask) {
    for (auto const& task : sample_tasks()) {
        std::visit([]<class T>(T const&) { EXPECT_EQ(T::Result::kind, T::kind); }, task);
    }
}

TEST(Sealed, TextsThatAreNotUtf8HaveTheirBytesReplaced) {
    auto task = a_sampled_pass();
    task.model =
        "mod\xFF"
        "el";
    EXPECT_EQ(std::get<Infer>(open_task(seal(task))).model, "mod\uFFFDel");
    Selection const selection{{"st\xC3"}, {{"st\xC3", 1}}};
    EXPECT_EQ(std::get<Selection>(open_result(seal(selection))).chosen.front(), "st\uFFFD");
}

TEST(Sealed, NotANumberComesBackAsSuch) {
    Clustered const clustered{1, {1}, std::numeric_limits<double>::quiet_NaN()};
    EXPECT_TRUE(std::isnan(std::get<Clustered>(open_result(seal(clustered))).inertia));
}

TEST(Sealed, WhatIsNoTaskOrResultIsAnError) {
    for (auto const* text : {"", "{", "[]", "7", "null", "{}", R"({"kind": "nonsense"})", R"({"kind": 7})",
                             R"({"kind": "encode", "texts": "mod\xFF"})", "{\"kind\": \"\xFF\"}"}) {
        EXPECT_THROW(open_task(text), InputError) << text;
        EXPECT_THROW(open_result(text), InputError) << text;
    }
    EXPECT_THROW(open_task(seal(Result{Encoded{3}})), InputError);
}

TEST(JournalRecords, ComeBackWithTheResultOfEveryKind) {
    for (auto const& result : sample_results()) {
        TaskRecord record;
        record.key = key_like('a');
        record.kind = kind_name(result);
        record.ok = true;
        record.sha256 = key_like('b');
        record.result = result;
        record.seconds = 2.5;
        record.rank = 4;
        record.team = {4, 5};
        record.label = "train zoo";
        record.ended = 1'800'000'000.25;
        auto const json = to_journal(record);
        EXPECT_EQ(json["kind"], "made");
        EXPECT_FALSE(json["result"].contains("kind"));
        auto const back = from_journal(json);
        ASSERT_TRUE(back);
        EXPECT_EQ(to_journal(*back), json);
        EXPECT_TRUE(back->ok);
        EXPECT_EQ(back->key, record.key);
        EXPECT_EQ(back->sha256, record.sha256);
        EXPECT_EQ(seal(*back->result), seal(result));
        EXPECT_EQ(back->team, record.team);
        EXPECT_EQ(back->label, "train zoo");
        EXPECT_EQ(back->ended, 1'800'000'000.25);
        EXPECT_DOUBLE_EQ(back->rank_seconds(), 5);
    }
}

TEST(JournalRecords, OfAFailureHaveItsErrorAndNoResult) {
    TaskRecord record;
    record.key = key_like('a');
    record.kind = "train";
    record.error = "no such file";
    record.seconds = 1;
    record.rank = 2;
    auto const json = to_journal(record);
    EXPECT_EQ(json["kind"], "failed");
    auto const back = from_journal(json);
    ASSERT_TRUE(back);
    EXPECT_FALSE(back->ok);
    EXPECT_FALSE(back->result);
    EXPECT_EQ(back->error, "no such file");
    EXPECT_EQ(back->rank_seconds(), 1);
    EXPECT_FALSE(back->ended);
    EXPECT_EQ(to_journal(*back), json);
}

TEST(JournalRecords, OfOtherKindsAreNone) {
    EXPECT_FALSE(from_journal({{"kind", "opened"}, {"epoch", 3}}));
}

TEST(JournalRecords, GiveTheirResultByType) {
    auto const record = done("k", an_encoding(a_recipe()), Encoded{8});
    ASSERT_NE(record.result_as<Encoded>(), nullptr);
    EXPECT_EQ(record.result_as<Encoded>()->texts, 8);
    EXPECT_EQ(record.result_as<Pass>(), nullptr);
    EXPECT_EQ(TaskRecord{}.result_as<Pass>(), nullptr);
}

TEST(JournalRecords, TheLastOfATaskCounts) {
    TaskRecord failed;
    failed.key = "k";
    failed.kind = "encode";
    failed.error = "oops";
    auto const good = to_journal(done("k", an_encoding(a_recipe()), Encoded{8}));
    EXPECT_TRUE(task_records({to_journal(failed), good}).at("k").ok);
    EXPECT_FALSE(task_records({good, to_journal(failed)}).at("k").ok);
    EXPECT_TRUE(task_records({}).empty());
}

TEST(JournalRecords, ThatCannotBeReadAreLeftOutWithAWarning) {
    auto const good = to_journal(done("good", an_encoding(a_recipe()), Encoded{8}));
    auto const broken = [&](auto const& change) {
        auto json = to_journal(done("broken", an_encoding(a_recipe()), Encoded{8}));
        change(json);
        return json;
    };
    for (auto const& json :
         {broken([](Json& record) { record.erase("sha256"); }), broken([](Json& record) { record["rank"] = "x"; }),
          broken([](Json& record) { record["task"] = "nonsense"; }),
          broken([](Json& record) { record["task"] = "infer"; }),  // whose result is another one
          broken([](Json& record) { record["result"] = nullptr; }),
          broken([](Json& record) { record["result"]["texts"] = "many"; }),
          broken([](Json& record) { record["result"]["new"] = 1; }),
          broken([](Json& record) { record["team"] = "all"; }), broken([](Json& record) { record["kind"] = 7; }),
          broken([](Json& record) { record.erase("kind"); }), Json("no record")}) {
        LogCapture const log;
        auto const records = task_records({good, json, good});
        EXPECT_EQ(records.size(), 1U) << json;
        EXPECT_TRUE(records.contains("good"));
        EXPECT_THAT(log.text(), HasSubstr("a journal record is left out")) << json;
    }
    LogCapture const log;
    task_records({good, {{"kind", "opened"}}});
    EXPECT_EQ(log.text(), "");
}

TEST(JournalRecords, TellWhichTasksWereGivenOutAndDidNotEnd) {
    auto const started = [](std::string const& key, std::vector<int> team) {
        return to_journal(Started{key, "encode", std::move(team), "encode " + key});
    };
    EXPECT_EQ(started("a", {0, 1})["kind"], "started");
    TaskRecord failed;
    failed.key = "b";
    failed.kind = "encode";
    std::vector<Json> const journal{
        started("a", {0, 1}), started("b", {2}),
        started("c", {3}),    to_journal(done("c", an_encoding(a_recipe()), Encoded{8})),
        to_journal(failed),   {{"kind", "started"}, {"key", "old"}, {"task", "train"}, {"rank", 5}},
        {{"kind", "opened"}}, started("c", {1})};  // again
    auto const open = started_tasks(journal);
    ASSERT_EQ(open.size(), 3U);
    EXPECT_EQ(open.at("a").team, (std::vector{0, 1}));
    EXPECT_EQ(open.at("a").kind, "encode");
    EXPECT_EQ(open.at("a").label, "encode a");
    EXPECT_EQ(open.at("old").label, "") << "of a journal from before labels were kept";
    EXPECT_EQ(open.at("old").team, std::vector{5});
    EXPECT_EQ(open.at("c").team, std::vector{1});
    for (auto const& json : {Json{{"kind", "started"}, {"key", "x"}}, Json{{"kind", 7}}, Json{{"kind", "done"}}}) {
        LogCapture const log;
        EXPECT_EQ(started_tasks({journal.front(), json}).size(), 1U);
        EXPECT_THAT(log.text(), HasSubstr("a journal record is left out")) << json;
    }
}

}  // namespace
}  // namespace samner::work
