#include "arms.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger/states.h"

static Arm *find(Arms *a, const char *name)
{
    int at = 0;
    while (at < a->count && strcmp(a->arm[at].name, name) < 0) at++;
    if (at < a->count && strcmp(a->arm[at].name, name) == 0) return &a->arm[at];
    a->arm = memory_resize(a->arm, (size_t)a->count + 1, sizeof *a->arm);
    memmove(&a->arm[at + 1], &a->arm[at], (size_t)(a->count++ - at) * sizeof *a->arm);
    a->arm[at] = (Arm){.name = text_copy(name)};
    return &a->arm[at];
}

static int64_t *place_of(Arm *arm, ClipState s)
{
    switch (s) {
    case CLIP_APPROVED:
        return &arm->approved;
    case CLIP_DELIVERED:
        return &arm->delivered;
    case CLIP_FAILED:
    case CLIP_REFUSED:
        return &arm->failed;
    case CLIP_HELD:
    case CLIP_REVIEW:
        return &arm->waiting;
    case CLIP_CANCELLED:
    case CLIP_REJECTED:
    case CLIP_REVOKED:
    case CLIP_ERASED:
        return &arm->withheld;
    default:
        return &arm->left;
    }
}

void arms_add(Arms *a, const ClipRow *r)
{
    ClipState state;
    json_t *own = *r->finish ? json_loads(r->finish, 0, NULL) : NULL;
    const char *variant = json_string_value(json_object_get(own, "variant"));
    char *names = variant ? text_copy(variant) : NULL, *rest = names, *name;
    while (ledger_find_clip_state(r->state, &state) && (name = strsep(&rest, ","))) {
        Arm *arm = find(a, name);
        arm->rows++;
        ++*place_of(arm, state);
    }
    free(names);
    json_decref(own);
}

void arms_clear(Arms *a)
{
    for (int i = 0; i < a->count; i++) free(a->arm[i].name);
    free(a->arm);
    *a = (Arms){0};
}
