#include "report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>

#include "report/packed.h"
#include "report/page_data.h"
#include "report/page_files.h"
#include "sample_view.h"

namespace samner::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::size_t count(std::string_view text, std::string_view wanted) {
    std::size_t found = 0;
    for (auto at = text.find(wanted); at != text.npos; at = text.find(wanted, at + 1)) ++found;
    return found;
}

TEST(Page, IsItsTemplateAroundDataThatEndsNoElement) {
    auto const page = page_of(full_view());
    for (auto const* tag : {"<script", "</script", "<img", "<!--", "<style", "<link"})
        EXPECT_EQ(count(page, tag), count(page_html, tag)) << tag;
    EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003cimg src=x"));
    EXPECT_EQ(count(page, "http"), 1U) << "the name of SVG; of its own it fetches nothing";
}

TEST(Page, OfFiftySystemsAndSevenHundredSentencesStaysSmall) {
    EXPECT_LT(page_of(large_view(50, 700)).size(), 20'000'000U);
}

TEST(PageData, EmbedsAnyTextSoThatItComesBack) {
    Json const json{{"text", hostile}, {"list", {1, 2.5, "\"\\\u2028"}}};
    auto const text = embedded(json);
    EXPECT_THAT(text, Not(HasSubstr("<")));
    EXPECT_EQ(Json::parse(text), json);
    EXPECT_EQ(Json::parse(embedded(Json("not UTF-8: \xFF"))), Json("not UTF-8: \uFFFD"));
}

TEST(PageData, SaysWhatCellsAreThatHaveNoValue) {
    auto const data = data_of(full_view());
    auto const& row = data["grids"][0]["values"][3];  // waits for poetry
    EXPECT_TRUE(row[0]["mean"].is_number());
    EXPECT_TRUE(row[1]["mean"].is_null());
    EXPECT_TRUE(row[1]["low"].is_null());
    EXPECT_TRUE(data["grids"][0]["averages"][3]["mean"].is_null());
    auto const& cell = data["cells"][row[1]["cells"][0].get<std::size_t>()];
    EXPECT_EQ(cell["status"], "pending");
    EXPECT_TRUE(cell["f1"].is_null());
    auto const& failed = data["grids"][0]["values"][4][0]["cells"];
    EXPECT_EQ(data["cells"][failed[0].get<std::size_t>()]["status"], "failed");
}

TEST(PageData, HasNullForWhatIsNoNumber) {
    auto const data = data_of(full_view());
    // 1000 losses are 334 stretches of 3; the fourth is not a number, and neither is the mean that it is in.
    auto const& losses = data["trainings"][1]["losses"];
    EXPECT_EQ(losses.size(), 334U);
    EXPECT_TRUE(losses[1][1].is_null());
    EXPECT_EQ(losses[0], Json({3, 1.8333}));
    EXPECT_EQ(losses.back()[0], 1000);
    auto const& candidates = data["selections"][0]["candidates"];
    EXPECT_TRUE(candidates[0]["sampling_f1"].is_null());
    EXPECT_EQ(candidates[1]["similarity"], 0.75);
}

TEST(PageData, HasThePrintedValuesOfAnExperiment) {
    auto const data = data_of(full_view());
    auto const& printed = data["grids"][0]["printed"];
    EXPECT_EQ(printed["place"], "Table 1");
    EXPECT_EQ(printed["rows"].size(), 3U);
    EXPECT_EQ(printed["rows"][0]["cells"]["science"], 40.5);
    EXPECT_THAT(printed["rows"][0]["doubtful"], ElementsAre("poetry"));
    EXPECT_TRUE(printed["rows"][1]["average"].is_null());
    EXPECT_TRUE(data["grids"][1]["printed"].is_null());
}

TEST(PageData, KeepsEqualAnswersOnce) {
    auto const view = full_view();
    auto const block = sentences_of(view, 0);
    // Of 18 cells most give the gold mentions of the first sentence; others none, or a wrong one in place of one.
    EXPECT_EQ(block["sentences"][0][2].size(), 3U);
    EXPECT_EQ(block["sentences"][0][3].size(), 3U);
    EXPECT_EQ(block["sentences"][3][2].size(), 1U) << "where there is nothing, all answer nothing";
    auto const& types = block["types"];
    auto const& gold = block["sentences"][0][1];
    EXPECT_EQ(gold[0], "marie curie");
    EXPECT_EQ(types[gold[1].get<std::size_t>()], "scientist");
    EXPECT_EQ(block["cells"].size(), 16U) << "the two that failed have no answers";
    EXPECT_EQ(block["passes"].size(), 16U);
    for (auto const& cell : block["cells"]) {
        EXPECT_EQ(cell[2].size(), 4U);
        EXPECT_EQ(view.cells[cell[0].get<std::size_t>()].cell.target, "science");
    }
}

TEST(Packed, IsZlibInBase64) {
    EXPECT_EQ(packed(""), "eJwDAAAAAAE=");
    EXPECT_EQ(packed("ab"), "eJxLTAIAASYAxA==");
    EXPECT_EQ(packed("abc"), "eJxLTEoGAAJNASc=");
    EXPECT_EQ(packed("abcd"), "eJxLTEpOAQAD2AGL");
}

}  // namespace
}  // namespace samner::report
