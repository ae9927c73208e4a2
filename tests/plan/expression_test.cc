#include "plan/expression.h"

#include <gmock/gmock.h>

#include <functional>

namespace samner::plan {
namespace {

using testing::HasSubstr;

Definitions common() {
    Definitions result;
    for (auto const& [name, text] : std::vector<std::pair<std::string, std::string>>{
             {"six", "pool(news, social_media, biomedical, stem, legal, traffic)"},
             {"three", "pool(news, social_media, biomedical)"},
             {"mixed", "pool(mix(six, 5))"},
             {"langs", "pool(de, en, es, nl, ru, zh)"},
             {"ds", "(p=six, m=3) select(p, similarity, m)"},
             {"se", "(p=six, m=3) select(p, sampling, m, k=10)"},
             {"sam",
              "(p=six, m=3, how=ties, w=equal) union(merge(ds(p,m), how, weights=w), merge(se(p,m), how, weights=w))"}})
        result.add(name, parse_definition(text, {"common.yaml", 1, 1}), {"common.yaml", 1, 1});
    return result;
}

Term::Ptr row(std::string const& text) {
    return common().check_row(parse_expression(text, {"t.yaml", 3, 5}));
}

std::string error_of(std::string const& text) {
    try {
        row(text);
    } catch (InputError const& error) {
        return describe(error);
    }
    return "no error";
}

TEST(Expression, EveryRowOfThePapersTablesIsWellTyped) {
    for (auto const* text : {"unified(six)",
                             "sam()",
                             "merge(intersect(ds(), se(), if_empty=fused))",
                             "merge(select(six, fused, 3))",
                             "merge(unite(ds(), se(), cut=3))",
                             "sam(three)",
                             "sam(w=[1.5, 1, 0.5])",
                             "sam(w=metric)",
                             "sam(how=linear)",
                             "sam(how=dare_linear)",
                             "sam(how=dare_ties)",
                             "vote(sample(unified(six), n=5, temperature=0.7))",
                             "vote(each(six))",
                             "expert(mixed, 5)",
                             "sam(mixed)",
                             "expert(langs, de)",
                             "sam(without(langs, target))",
                             "expert(six, news)",
                             "merge(six)",
                             "best_by_gold(six)",
                             "sam(m=6)",
                             "merge(ds(m=2))",
                             "merge(se(m=1))",
                             "split(target, 4, sam())",
                             "split(pooled, 2, merge(ds()))"})
        EXPECT_NO_THROW(row(text)) << text;
}

TEST(Expression, DefaultsAndKeywordsGiveTheSameTermAsWrittenOut) {
    EXPECT_EQ(row("sam()")->text(),
              row("union(merge(select(six, similarity)), merge(select(m=3, pool=six, metric=sampling)))")->text());
    EXPECT_NE(row("sam()")->text(), row("sam(m=2)")->text());
}

TEST(Expression, ErrorsNameFileLineAndColumn) {
    EXPECT_THAT(error_of("merg(six)"),
                AllOf(HasSubstr("unknown operator 'merg' (t.yaml:3:5)"), HasSubstr("did you mean 'merge'")));
    EXPECT_THAT(error_of("merge(news)"), HasSubstr("'set' of 'merge' is a name ('news') (t.yaml:3:11)"));
    EXPECT_THAT(error_of("merge(six, tis)"), AllOf(HasSubstr("t.yaml:3:16"), HasSubstr("did you mean 'ties'")));
    EXPECT_THAT(error_of("unified()"), HasSubstr("parameter 'pool' of 'unified' is missing (t.yaml:3:5)"));
    EXPECT_THAT(error_of("unified(six, 2)"), HasSubstr("at most 1 arguments and was given 2 (t.yaml:3:18)"));
    EXPECT_THAT(error_of("sam(m=7)"), HasSubstr("m is 7, but the pool has 6 experts (t.yaml:3:11)"));
    EXPECT_THAT(error_of("sam(m=1.5)"), HasSubstr("m is 1.5 (t.yaml:3:11)"));
    EXPECT_THAT(error_of("unified(pool(a, a))"), HasSubstr("expert 'a' is named twice (t.yaml:3:13)"));
    EXPECT_THAT(error_of("expert(six, stm)"), AllOf(HasSubstr("(t.yaml:3:17)"), HasSubstr("did you mean 'stem'")));
    EXPECT_THAT(error_of("six"), HasSubstr("the row is a pool"));
    EXPECT_THAT(error_of("sam(pp=six)"), HasSubstr("'sam' has no parameter 'pp' (t.yaml:3:12)"));
    EXPECT_THAT(error_of("merge(six"), HasSubstr("')' is missing at the end (t.yaml:3:14)"));
    EXPECT_THAT(error_of("merge(six) x"), HasSubstr("'x' stands after the end of the expression (t.yaml:3:16)"));
    EXPECT_THAT(error_of(""), HasSubstr("(t.yaml:3:5)"));
}

TEST(Expression, ADefinitionThatUsesItselfIsAnError) {
    Definitions definitions;
    definitions.add("f", parse_definition("(p) merge(g(p))", {"a", 1, 1}), {"a", 1, 1});
    definitions.add("g", parse_definition("(p) select(f(p), fused)", {"a", 2, 1}), {"a", 2, 1});
    EXPECT_THROW(definitions.check(parse_expression("f(pool(x))", {"a", 3, 1})), InputError);
    EXPECT_THROW(definitions.add("merge", parse_definition("1", {"a", 4, 1}), {"a", 4, 1}), InputError);
    EXPECT_THROW(definitions.add("f", parse_definition("1", {"a", 4, 1}), {"a", 4, 1}), InputError);
}

}  // namespace
}  // namespace samner::plan
