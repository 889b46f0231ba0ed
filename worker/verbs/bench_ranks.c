#include "bench_ranks.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"

static const double slow = 1.2; /* times the fastest: ranks of equal nodes differ by a few per cent */

static int slowest_first(const void *a, const void *b)
{
    const double x = ((const BenchRank *)a)->median, y = ((const BenchRank *)b)->median;
    return (x < y) - (x > y);
}

Status bench_ranks_gather(Coll *ranks, const BenchResult *mine, BenchRanks *out)
{
    BenchRank own = {.median = mine->median, .all_s = mine->all_s, .rank = ranks->rank, .count = mine->count};
    host_name(own.host);
    *out = (BenchRanks){.count = ranks->size, .rank = memory_get((size_t)ranks->size, sizeof *out->rank)};
    Status status = coll_host_gather(ranks, &own, sizeof own, out->rank);
    if (!failed(status)) qsort(out->rank, (size_t)out->count, sizeof *out->rank, slowest_first);
    return status;
}

static double times_fastest(const BenchRanks *r, int i)
{
    const double fastest = r->rank[r->count - 1].median;
    return fastest > 0 ? r->rank[i].median / fastest : 1;
}

void bench_ranks_print(const BenchRanks *r)
{
    for (int i = 0; i < r->count; i++)
        foreign_print(stdout, "  rank %d on %s: %.4g s, %.2f times the fastest%s\n", r->rank[i].rank, r->rank[i].host,
                      r->rank[i].median, times_fastest(r, i), times_fastest(r, i) > slow ? ": SLOW" : "");
}

void bench_ranks_json(const BenchRanks *r, json_t *to)
{
    json_t *ranks = json_array(), *hosts = json_array();
    for (int i = 0; i < r->count; i++) {
        bool known = false;
        for (int k = 0; k < i; k++) known |= strcmp(r->rank[k].host, r->rank[i].host) == 0;
        json_array_append_new(ranks, json_pack("{s:i, s:s, s:f, s:f}", "rank", r->rank[i].rank, "host", r->rank[i].host,
                                               "median_s", r->rank[i].median, "times_fastest", times_fastest(r, i)));
        if (times_fastest(r, i) > slow && !known) json_array_append_new(hosts, json_string(r->rank[i].host));
    }
    json_object_set_new(to, "ranks", ranks);
    json_object_set_new(to, "slow", hosts);
}

double bench_ranks_rate(const BenchRanks *r)
{
    double rate = 0;
    for (int i = 0; i < r->count; i++) rate += r->rank[i].all_s > 0 ? r->rank[i].count / r->rank[i].all_s : 0;
    return rate;
}

void bench_ranks_clear(BenchRanks *r)
{
    free(r->rank);
    *r = (BenchRanks){0};
}
