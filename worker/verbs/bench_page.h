/* bench_page.h - whole renders, as MLPerf measures them, as a page: the figure that counts, the rules that were broken, how samples
 * differ, what a sample's time goes into, the whole configuration. */
#ifndef REELWRIGHT_BENCH_PAGE_H
#define REELWRIGHT_BENCH_PAGE_H

#include <jansson.h>

#include "worker/verbs/bench.h"

/* What `bench --scenario` prints as JSON, into file, and a page with the same and b's times beside it: record.html beside record.json. */
Status bench_page_write(const char *file, const json_t *record, const BenchResult *b);

#endif
