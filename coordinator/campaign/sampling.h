/* sampling.h - how many clips of a lot are looked at, and how many bad ones among them it may have. A campaign is a lot.
 *
 * sampling_isolated: one campaign by itself, ISO 2859-2 procedure A (table A), indexed by lot size and limiting quality: a lot as bad as that passes
 * with a chance of about one in ten (13 % at most; 20 % in two plans for lots of up to 90 and 150).
 * sampling_series: campaigns that follow one another, ISO 2859-1, general inspection level II, single sampling: tables 1 and 2-A (normal), 2-B
 * (tightened), 2-C (reduced), indexed by lot size and AQL; sampling_next is its switching rules (9.3).
 *
 * The tables were written down from memory, then compared with what others have typed: 2-A to 2-C with all 720 plans of GB/T 2828.1-2012, the same
 * standard as ISO 2859-1:1999, and 2-A and 2-B with MIL-STD-105E; table A of 2859-2 from 2 % on with that of the program GeoPEC. Its plans below 2 %
 * were only reckoned: the chance of passing at the limiting quality. tests/unit/test_sampling.c has the 720 plans and reckons that chance for all. */
#ifndef REELWRIGHT_SAMPLING_H
#define REELWRIGHT_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    SAMPLING_NORMAL,
    SAMPLING_TIGHTENED,
    SAMPLING_REDUCED,
    SAMPLING_STOPPED, /* too many lots were rejected: everything is looked at */
    SAMPLING_SEVERITIES
} SamplingSeverity;
const char *sampling_severity_name(SamplingSeverity s); /* "normal" */
SamplingSeverity sampling_find_severity(const char *name);

typedef struct {
    int64_t size; /* at most the lot's: then all of it */
    int accept;   /* so many bad ones of the sample, or fewer: the lot is accepted */
} SamplingPlan;

/* lq in per cent; of the standard's 0.5, 0.8, 1.25, 2, 3.15, 5, 8, 12.5, 20, 31.5 the largest that is not above it. Below 0.5, where
 * there is no table: the least sample without a bad one that such a lot passes with a chance of one in ten (hypergeometric). */
SamplingPlan sampling_isolated(int64_t lot, double lq);
/* aql in per cent: of 0.010, 0.015, 0.025 ... 6.5, 10 the largest that is not above it. */
SamplingPlan sampling_series(int64_t lot, double aql, SamplingSeverity s);
/* The AQL one step tighter. */
double sampling_tighter(double aql);

typedef struct { /* where a series stands; begins as zeros: normal inspection */
    SamplingSeverity severity;
    int score;          /* switching score of 9.3.3.2; 30: reduced inspection may begin */
    unsigned rejected;  /* of the latest lots on normal inspection, a bit each, the latest lowest */
    int accepted;       /* lots one after another on tightened inspection */
    int rejected_tight; /* lots since tightened inspection began; 5: it stops */
} SamplingSeries;

typedef struct { /* what became of a lot */
    bool accepted;
    int accept;   /* of its plan */
    bool tighter; /* it would have been accepted with the AQL one step tighter */
} SamplingResult;
/* normal to tightened after 2 of 5 lots that were rejected; back after 5 that were accepted; to reduced by the score; back after one that
 * was rejected; stopped after 5 that were rejected on tightened inspection. */
void sampling_next(SamplingSeries *s, const SamplingResult *lot);

#endif
