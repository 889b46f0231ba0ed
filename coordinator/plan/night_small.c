/* night_small.c - a part of a large farm with that part of its work. */
#include <math.h>
#include <stdlib.h>

#include "common/file.h"
#include "coordinator/plan/night.h"

enum { LEAST_NODES = 64, LEAST_TRUNKS = 256, LEAST_SHOTS = 1000 };
static const double alike = 0.02; /* so far the share of the clips may be from that of the nodes */

/* The i-th of many things is kept: evenly spread over them, with no period that theirs could meet (multiples of the golden ratio). */
static bool is_kept(int64_t i, double share)
{
    const double at = (double)i * 0.6180339887498949;
    return at - floor(at) < share;
}

static int64_t count_items(const Night *n)
{
    int64_t count = n->shots + n->waiting;
    for (int64_t i = 0; i < n->shots; i++) count += n->clips[i];
    return count;
}

static int64_t count_trunks(const Night *n)
{
    int64_t last = -1;
    for (int64_t i = 0; i < n->shots && n->trunk; i++)
        if (n->trunk[i] > last) last = n->trunk[i];
    return last + 1;
}

/* The shots that are kept, with trunks numbered anew. Of many trunks some are kept whole; few have a part of their shots each. */
static void keep_shots(const Night *n, double share, SmallNight *out)
{
    const int64_t trunks = count_trunks(n);
    const bool whole = (double)trunks * share >= LEAST_TRUNKS;
    int64_t *number = memory_get((size_t)trunks + 1, sizeof *number), kept = 0, known = 0;
    for (int64_t i = 0; i < n->shots; i++) {
        if (!is_kept(whole ? n->trunk[i] : i, share)) continue;
        out->clips[kept] = n->clips[i];
        if (n->trunk && number[n->trunk[i]] == 0) number[n->trunk[i]] = ++known;
        if (n->trunk) out->trunk[kept] = number[n->trunk[i]] - 1;
        kept++;
    }
    free(number);
    out->night.shots = kept;
}

static bool has_share(const Night *n, const Night *small, double share)
{
    double all = 0, kept = 0;
    for (int64_t i = 0; i < n->shots; i++) all += (double)n->clips[i];
    for (int64_t i = 0; i < small->shots; i++) kept += (double)small->clips[i];
    return fabs(kept - share * all) <= alike * share * all;
}

void night_make_small(const Night *n, int64_t most, SmallNight *out)
{
    *out = (SmallNight){.night = *n};
    if (n->nodes < 2 * LEAST_NODES || n->script) return;
    const double wished = (double)most / (double)count_items(n);
    if (wished >= 1) return;
    const int nodes = (int)fmax(n->nodes * wished, LEAST_NODES);
    const double share = (double)nodes / n->nodes;
    if ((double)n->shots * share < LEAST_SHOTS) return;
    out->clips = memory_get((size_t)n->shots + 1, sizeof *out->clips);
    if (n->trunk) out->trunk = memory_get((size_t)n->shots + 1, sizeof *out->trunk);
    keep_shots(n, share, out);
    if (!has_share(n, &(Night){.shots = out->night.shots, .clips = out->clips}, share)) {
        night_small_clear(out);
        out->night = *n;
        return;
    }
    out->night.nodes = nodes;
    out->night.node_mtbf_s *= share; /* the job dies as often */
    out->night.clips = out->clips;
    out->night.trunk = out->trunk;
    out->night.waiting = (int64_t)((double)n->waiting * share + 0.5);
    out->night.masters = n->masters > 0 ? (int64_t)fmax((double)n->masters * share, 1) : 0;
}

void night_small_clear(SmallNight *s)
{
    free(s->clips);
    free(s->trunk);
    *s = (SmallNight){0};
}
