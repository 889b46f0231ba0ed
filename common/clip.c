#include "clip.h"

#include <stdlib.h>
#include <string.h>

void lease_clear(Lease *l)
{
    for (int i = 0; i < l->clip_count; i++) {
        free(l->clip[i].clip_id);
        free(l->clip[i].stem);
        free(l->clip[i].finish);
    }
    free(l->clip);
    free(l->model_folder);
    free(l->campaign_folder);
    free(l->finish);
    free(l->spec);
    shot_clear(&l->shot);
    memset(l, 0, sizeof *l);
}

void lease_result_clear(LeaseResult *r)
{
    for (int i = 0; i < r->clip_count; i++) {
        free(r->clip[i].clip_id);
        free(r->clip[i].file);
        free(r->clip[i].thumbnail);
        free(r->clip[i].sheet);
    }
    free(r->clip);
    free(r->reason);
    memset(r, 0, sizeof *r);
}
