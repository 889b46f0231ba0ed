/* link_local.c - the link within one process, with faults on order: what a test cannot get from a real network when it
 * wants it. All decisions come from one generator, so a failing run can be repeated from its seed. */
#include "link.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

typedef struct Letter {
    struct Letter *next;
    int from, late; /* late: how many more deliveries to this rank go first */
    size_t bytes;
    unsigned char data[];
} Letter;

typedef struct {
    Link link;
    LocalNet *net;
    Letter *first, **last; /* letters to this rank */
    bool dead;
    int told_count;
    bool *told; /* [count]: deaths this rank has heard of */
} LocalEnd;

struct LocalNet {
    int count, deaths;
    LocalFaults faults;
    uint64_t state;
    LocalEnd *end;
};

static double draw(LocalNet *n) /* splitmix64 -> [0,1) */
{
    uint64_t z = n->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static void post(LocalNet *n, int from, int to, const void *data, size_t bytes)
{
    LocalEnd *e = &n->end[to];
    Letter *letter = memory_get(1, sizeof *letter + bytes);
    letter->from = from;
    letter->bytes = bytes;
    if (bytes) memcpy(letter->data, data, bytes);
    if (draw(n) < n->faults.delay) letter->late = 1 + (int)(draw(n) * n->faults.delay_max);
    *e->last = letter;
    e->last = &letter->next;
}

static Status local_send(Link *l, int peer, const void *data, size_t bytes)
{
    LocalNet *n = ((LocalEnd *)l)->net;
    if (n->end[peer].dead || n->end[l->rank].dead || draw(n) < n->faults.lose) return status_ok();
    post(n, l->rank, peer, data, bytes);
    if (draw(n) < n->faults.duplicate) post(n, l->rank, peer, data, bytes);
    return status_ok();
}

static Status local_hear(Link *l, News *news)
{
    LocalEnd *e = (LocalEnd *)l;
    Letter **at = &e->first;
    while (*at && (*at)->late > 0) {
        (*at)->late--;
        at = &(*at)->next;
    }
    Letter *letter = *at;
    if (letter) {
        *news = (News){.kind = NEWS_MESSAGE, .peer = letter->from, .bytes = letter->bytes};
        news->data = memory_get(letter->bytes + 1, 1);
        memcpy(news->data, letter->data, letter->bytes);
        *at = letter->next;
        if (e->last == &letter->next) e->last = at;
        free(letter);
        return status_ok();
    }
    bool all_told = e->told_count == e->net->deaths - (e->dead ? 1 : 0);
    for (int rank = 0; rank < e->net->count && !e->first && !all_told; rank++) {
        if (!e->net->end[rank].dead || e->told[rank] || rank == l->rank) continue;
        e->told[rank] = true;
        e->told_count++;
        *news = (News){.kind = NEWS_DEATH, .peer = rank};
        break;
    }
    return status_ok();
}

static void local_close(Link *l) { (void)l; }
static void local_abort(Link *l, int code) { (void)l, (void)code; }

LocalNet *local_net_new(int count, LocalFaults faults)
{
    static const LinkHome home = {local_send, local_hear, local_close, local_abort};
    LocalNet *n = memory_get(1, sizeof *n);
    *n = (LocalNet){.count = count, .faults = faults, .state = faults.seed};
    n->end = memory_get((size_t)count, sizeof *n->end);
    for (int rank = 0; rank < count; rank++) {
        LocalEnd *e = &n->end[rank];
        e->link = (Link){&home, rank, count};
        e->net = n;
        e->last = &e->first;
        e->told = memory_get((size_t)count, sizeof *e->told);
    }
    return n;
}

static void drop_letters(LocalEnd *e)
{
    for (Letter *next, *letter = e->first; letter; letter = next) {
        next = letter->next;
        free(letter);
    }
    e->first = NULL;
    e->last = &e->first;
}

void local_net_free(LocalNet **n)
{
    if (!*n) return;
    for (int rank = 0; rank < (*n)->count; rank++) {
        drop_letters(&(*n)->end[rank]);
        free((*n)->end[rank].told);
    }
    free((*n)->end);
    free(*n);
    *n = NULL;
}

Link *local_net_link(LocalNet *n, int rank) { return &n->end[rank].link; }

void local_net_kill(LocalNet *n, int rank)
{
    if (!n->end[rank].dead) n->deaths++;
    n->end[rank].dead = true;
    drop_letters(&n->end[rank]);
}
