#include "clip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

const char lease_work[] = "work", lease_masters[] = "masters", lease_clips[] = "clips";

const char *lease_kind_name(LeaseKind k)
{
    static const char *const name[] = {[LEASE_RENDER] = "render", [LEASE_FINISH] = "finish"};
    return name[k];
}

char *lease_work_folder(int64_t lease) { return text_format("%s/%" PRId64, lease_work, lease); }

char *lease_master_name(const char *key) { return text_format("%s.mkv", key); }

void lease_clear(Lease *l)
{
    free(l->campaign_folder);
    free(l->spec);
    shot_clear(&l->shot);
    free(l->clip_id);
    free(l->model_folder);
    free(l->stem);
    free(l->finish);
    free(l->clip_finish);
    memset(l, 0, sizeof *l);
}

void clip_result_clear(ClipResult *r)
{
    free(r->clip_id);
    free(r->file);
    free(r->thumbnail);
    free(r->sheet);
    for (int i = 0; i < r->name_count; i++) free(r->name[i]);
    free(r->name);
    free(r->document);
    memset(r, 0, sizeof *r);
}

void lease_result_clear(LeaseResult *r)
{
    clip_result_clear(&r->clip);
    free(r->reason);
    free(r->figures);
    memset(r, 0, sizeof *r);
}
