#include "render_group.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/outcome.h"

static int count_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

static int share_of_cores(int ranks)
{
    const int cores = count_cores();
    return ranks > 0 && cores / ranks > 0 ? cores / ranks : 1;
}

Status render_group_launch(int size, int threads, int argc, char **argv, LaunchRanks *launch)
{
    char count[16];
    const char **list = memory_get((size_t)argc + 3, sizeof *list);
    snprintf(count, sizeof count, "%d", share_of_cores(size));
    for (int i = 0; i < argc; i++) list[i] = argv[i];
    if (threads == 0) {
        list[argc] = "--threads";
        list[argc + 1] = count;
    }
    Status status = launch(size, (char *const *)(uintptr_t)list);
    free(list);
    return status;
}

Status render_group_join(int size, RenderGroup *g)
{
    int world[COLL_MAX_RANKS];
    char who[32];
    *g = (RenderGroup){.coll = coll_self()};
    if (size == 1) return status_ok();
    if (size > COLL_MAX_RANKS)
        return status_fail(ERR_INPUT, "--group-size %d: expected at most %d", size, COLL_MAX_RANKS);
    TRY(link_open_mpi(&g->link));
    if (g->link->count != size)
        return status_fail(ERR_INPUT, "--group-size %d: mpirun started %d ranks", size, g->link->count);
    for (int i = 0; i < size; i++) world[i] = i;
    TRY(coll_open_mpi(world, size, 1, &g->coll));
    outcome_join(g->link->rank);
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    g->threads = share_of_cores(here ? (int)strtol(here, NULL, 10) : size);
    if (g->coll->rank == 0) return status_ok();
    snprintf(who, sizeof who, "rank %d", g->coll->rank);
    log_set_who(who);
    log_set_level(LOG_ERROR);
    return status_ok();
}

bool render_group_is_first(const RenderGroup *g) { return g->coll->rank == 0; }

Status render_group_leave(RenderGroup *g, Status status)
{
    if (!g->link) return status;
    const int rank = g->link->rank;
    status = coll_agree(g->coll, status); /* the first rank may have been at work alone: the others wait asleep */
    const bool first = render_group_is_first(g), together = !coll_is_aborted(g->coll);
    if (!together) {
        outcome_tell(rank, status);
        log_line(LOG_ERROR, "%s", status.message);
        link_abort(&g->link, status_exit_code(status));
    }
    outcome_tell(rank, status);
    coll_close(&g->coll);
    link_close(&g->link);
    return first ? status : status_ok();
}
