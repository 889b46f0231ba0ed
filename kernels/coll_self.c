/* coll_self.c - the group of one, and the group of a back end that plans: nothing is exchanged, so that nothing here runs. The
 * calls of coll.c end before they reach a home when there is nobody to talk to. */
#include "kernels/coll.h"

#include <stdlib.h>

static const CollHome self_home = {.name = "self"}, planned_home = {.name = "planned"};

Coll *coll_self(void)
{
    static Coll self = {.home = &self_home, .size = 1};
    return &self;
}

Coll *coll_planned(int rank, int size) { return coll_new(&planned_home, rank, size, NULL); }
