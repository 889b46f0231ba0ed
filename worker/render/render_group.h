/* render_group.h - `render --group-size T`: how this process comes to be one of T ranks, and how it leaves them. */
#ifndef REELWRIGHT_RENDER_GROUP_H
#define REELWRIGHT_RENDER_GROUP_H

#include "common/link.h"
#include "common/work.h"
#include "engine/engine.h"

typedef struct {
    Link *link; /* NULL: alone */
    Coll *coll;
    int threads; /* of this rank: its share of the cores of its machine, 0 = all */
} RenderGroup;

/* Started alone: the same command line on `size` ranks. */
Status render_group_launch(int size, int threads, int argc, char **argv, LaunchRanks *launch);
/* One of the ranks that mpirun started, or alone (size 1). From here on only the first rank speaks, unless something fails. */
Status render_group_join(int size, RenderGroup *g);
bool render_group_is_first(const RenderGroup *g);
/* With how this rank ended; what is returned is for main: the first rank's outcome. After a failure that the ranks do not share it
 * says what failed and ends them all. */
Status render_group_leave(RenderGroup *g, Status status);

#endif
