#include "earlier.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/ledger/view.h"

static const char place[] = "earlier";

/* "earlier/STEM.mp4", whether it is there or not; free() it. */
static char *earlier_name(const char *file) { return path_join(place, path_name(file)); }

static Status keep_clip(void *self, const ClipRow *r)
{
    const char *folder = self;
    if (!*r->file) return status_ok();
    char *name = earlier_name(r->file), *from = path_join(folder, r->file), *to = path_join(folder, name),
         *inside = path_join(folder, place);
    Status status = file_exists(from) ? file_make_folders(inside) : status_ok();
    if (!failed(status) && file_exists(from)) status = file_duplicate(from, to); /* the new clip comes by a rename */
    free(inside);
    free(to);
    free(from);
    free(name);
    return status;
}

Status earlier_keep(Ledger *l, const char *clip_id)
{
    return ledger_read_clips(l, clip_id, (ClipSink){keep_clip, (char *)(uintptr_t)ledger_folder(l)});
}

static bool is_decided(const char *state)
{
    static const ClipState open[] = {CLIP_PLANNED, CLIP_WAITING, CLIP_FINISHING, CLIP_PAUSED, CLIP_HELD, CLIP_REVIEW};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (strcmp(state, ledger_clip_state_name(open[i])) == 0) return false;
    return true;
}

Status earlier_sweep(Ledger *l)
{
    char *folder = path_join(ledger_folder(l), place), state[32];
    DIR *dir = opendir(folder);
    Status status = status_ok();
    free(folder);
    for (struct dirent *e; dir && !failed(status) && (e = readdir(dir));) {
        if (*e->d_name == '.') continue;
        char *stem = text_format("%.*s", (int)strcspn(e->d_name, "."), e->d_name);
        status = ledger_find_state(l, stem, state, sizeof state);
        if (!failed(status) && is_decided(state) && unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
            status = status_errno(ERR_NODE, "cannot remove %s/%s", place, e->d_name);
        free(stem);
    }
    if (dir) closedir(dir);
    return status;
}
