#include "deliver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/plural.h"
#include "coordinator/deliver/filecheck.h"
#include "coordinator/deliver/twins.h"
#include "coordinator/ledger/guard.h"
#include "coordinator/ledger/lost.h"
#include "coordinator/watch/audit.h"

/* A batch is published by one sync and noted in one transaction: one by one, a million clips would wait hours for the disk. */
enum { BATCH_CLIPS = 512, BATCH_BYTES = 256 << 20, MOST_FILES = BATCH_CLIPS * (2 + MAX_RENDITIONS) };

typedef struct {
    int64_t clip;
    bool again; /* it was delivered before */
    char *why;  /* NULL: its files are there */
    char *clip_id, *sha256;
} Settled;

typedef struct {
    Ledger *ledger;
    DeliverOptions options;
    char *from, *to; /* DIR, DIR/delivery */
    Guard *guard;
    Audit *audit;
    Twins *twins;
    bool cannot_clone, cannot_link;
    Settled settled[BATCH_CLIPS]; /* not written into the ledger yet */
    char *draft[MOST_FILES], *path[MOST_FILES];
    int settled_count, file_count;
    int64_t bytes; /* of the batch */
    int mended;    /* files of the clip that were missing or damaged, and are there again */
    Delivery done;
    char *first_lost, *first_unread;
} Deliverer;

static void clear_settled(Settled *s)
{
    free(s->why);
    free(s->clip_id);
    free(s->sha256);
}

/* ---- one file ---- */

/* Reads `from` once: what is hashed is what is written. */
static Status copy_verified(const char *from, const char *draft, const char *sha256)
{
    enum { PIECE = 1 << 18 };
    char *piece = memory_get(PIECE, 1), found[HASH_TEXT];
    FILE *in = fopen(from, "rbe"), *out = in ? fopen(draft, "wbe") : NULL;
    Status status = !in    ? status_errno(ERR_NODE, "cannot read %s", from)
                    : !out ? status_errno(ERR_FATAL, "cannot write %s", draft)
                           : status_ok();
    Hash *h = hash_begin();
    for (size_t n; out && !failed(status) && (n = fread(piece, 1, PIECE, in)) > 0;) {
        hash_add(h, piece, n);
        if (fwrite(piece, 1, n, out) != n) status = status_errno(ERR_FATAL, "cannot write %s", draft);
    }
    hash_end(h, found);
    if (in && ferror(in) && !failed(status)) status = status_errno(ERR_NODE, "cannot read %s", from);
    if (in) fclose(in);
    if (out && fclose(out) != 0 && !failed(status)) status = status_errno(ERR_FATAL, "cannot write %s", draft);
    if (!failed(status) && *sha256 && strcmp(found, sha256) != 0)
        status = status_fail(ERR_CLIP, "%s: its SHA-256 is %.12s.., expected %.12s..: changed since it was finished",
                             from, found, sha256);
    free(piece);
    return status;
}

/* Shared bytes, but a file of its own: with its own mode, and a change to one is none to the other. */
static bool clone_file(Deliverer *d, const char *from, const char *draft)
{
    if (d->cannot_clone) return false;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = in >= 0 && out >= 0 && ioctl(out, FICLONE, in) == 0 && fchmod(out, 0644) == 0;
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    if (!good) unlink(draft);
    d->cannot_clone = !good;
    return good;
}

static bool link_file(Deliverer *d, const char *from, const char *draft)
{
    if (d->cannot_link) return false;
    unlink(draft);
    if (link(from, draft) == 0) return true;
    d->cannot_link =
        errno == EPERM || errno == EXDEV || errno == EOPNOTSUPP; /* not EMLINK: 65,000 names at most on ext4 */
    return false;
}

/* What was delivered to `path`: still a draft when it is of this batch. */
static const char *find_placed(const Deliverer *d, const char *path)
{
    for (int i = d->file_count - 1; i >= 0; i--)
        if (strcmp(d->path[i], path) == 0) return d->draft[i];
    return path;
}

/* What leaves the house may be read by whoever gets it, though the folder around it is the owner's. */
static Status make_open_folder(const char *folder)
{
    if (file_is_folder(folder)) return status_ok();
    TRY(file_make_folders(folder));
    return chmod(folder, 0755) == 0 ? status_ok() : status_errno(ERR_FATAL, "chmod %s", folder);
}

/* A draft beside `to`, which the batch renames. `twin`: where a file of the same bytes was delivered to, or NULL. */
static Status place_file(Deliverer *d, const char *from, const char *to, const char *twin, const char *sha256)
{
    char *folder = path_folder(to), *draft = file_draft(to);
    Status status = make_open_folder(folder);
    bool shared = !failed(status) && ((twin && link_file(d, find_placed(d, twin), draft)) ||
                                      clone_file(d, from, draft) || link_file(d, from, draft));
    if (!failed(status) && !shared) status = copy_verified(from, draft, sha256);
    if (!failed(status) && !shared && chmod(draft, 0644) != 0) status = status_errno(ERR_FATAL, "chmod %s", draft);
    free(folder);
    if (failed(status)) {
        unlink(draft);
        free(draft);
        return status;
    }
    assert(d->file_count < MOST_FILES);
    d->draft[d->file_count] = draft;
    d->path[d->file_count++] = text_copy(to);
    return status;
}

/* The whole file, read once however many names it has. */
static Status check_source(Deliverer *d, const char *path, const struct stat *st, const char *sha256)
{
    Twin *twin = st->st_nlink > 1 ? twins_find(d->twins, st) : NULL;
    if (twin && twin->whole && strcmp(twin->sha256, sha256) == 0) return status_ok();
    TRY(filecheck_whole(path, sha256));
    if (!twin) return status_ok();
    twin->whole = true;
    snprintf(twin->sha256, sizeof twin->sha256, "%s", sha256);
    return status_ok();
}

typedef struct {
    char *from, *to;
    struct stat source, copy;
    bool has_source, has_copy, same; /* same: two names of one file */
} Pair;

static Pair look_at_pair(const Deliverer *d, const char *relative)
{
    Pair p = {.from = path_join(d->from, relative), .to = path_join(d->to, relative)};
    p.has_source = stat(p.from, &p.source) == 0 && S_ISREG(p.source.st_mode);
    p.has_copy = stat(p.to, &p.copy) == 0 && S_ISREG(p.copy.st_mode);
    p.same = p.has_source && p.has_copy && p.source.st_ino == p.copy.st_ino && p.source.st_dev == p.copy.st_dev;
    return p;
}

/* The file in clips/ is good. */
static Status deliver_file(Deliverer *d, const Pair *p, const char *sha256, bool delivered)
{
    if (p->same) return status_ok();
    if (delivered && p->has_copy && !failed(filecheck_whole(p->to, sha256)) && p->copy.st_size == p->source.st_size)
        return status_ok();
    Twin *twin = p->source.st_nlink > 1 ? twins_find(d->twins, &p->source) : NULL;
    TRY(place_file(d, p->from, p->to, twin ? twin->placed : NULL, sha256));
    if (twin && !twin->placed) twin->placed = text_copy(p->to);
    d->bytes += p->source.st_size;
    d->mended += delivered;
    return status_ok();
}

static Status settle_file(Deliverer *d, const char *relative, const char *sha256, bool delivered)
{
    Pair p = look_at_pair(d, relative);
    Status status = status_ok();
    if (delivered && !d->options.thorough && p.has_source && p.has_copy &&
        (p.same || p.source.st_size == p.copy.st_size) && p.source.st_size > 0)
        goto out;
    status = check_source(d, p.from, &p.source, sha256);
    if (!failed(status)) {
        status = deliver_file(d, &p, sha256, delivered);
    } else if (status.err == ERR_CLIP) {
        char *why = text_copy(status.message);
        if (p.has_copy && !p.same && !failed(filecheck_whole(p.to, sha256))) {
            status = file_duplicate(p.to, p.from);
            d->mended += !failed(status);
        } else {
            if (p.has_copy) unlink(p.to);
            status = status_fail(ERR_CLIP, "%s", why);
        }
        free(why);
    }
out:
    free(p.from);
    free(p.to);
    return status;
}

/* ---- one clip ---- */

/* Forgets the batch's files from this one on. */
static void drop_files(Deliverer *d, int from, bool unlink_drafts)
{
    while (d->file_count > from) {
        d->file_count--;
        if (unlink_drafts) unlink(d->draft[d->file_count]);
        free(d->draft[d->file_count]);
        free(d->path[d->file_count]);
    }
}

/* What its finish gave back names every file with its hash: those beside the clip itself. */
static Status settle_others(Deliverer *d, const ClipRow *r, const json_t *files, bool delivered)
{
    json_t *item;
    size_t i;
    json_array_foreach(files, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *sha256 = json_string_value(json_object_get(item, "sha256"));
        if (!name || !*name || strchr(name, '/') || strcmp(name, path_name(r->file)) == 0) continue;
        char *folder = path_folder(r->file), *relative = path_join(folder, name);
        Status status = settle_file(d, relative, sha256 ? sha256 : "", delivered);
        free(relative);
        free(folder);
        TRY(status);
    }
    return status_ok();
}

/* The clip, and all that was made with it. */
static Status settle_files(Deliverer *d, const ClipRow *r, bool delivered)
{
    json_t *result = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    const json_t *files = json_object_get(result, "files");
    Status status = settle_file(d, r->file, r->sha256, delivered);
    if (!failed(status) && json_array_size(files)) {
        status = settle_others(d, r, files, delivered);
    } else {
        if (!failed(status) && *r->thumbnail) status = settle_file(d, r->thumbnail, "", delivered);
        if (!failed(status) && *r->sheet) status = settle_file(d, r->sheet, "", delivered);
    }
    json_decref(result);
    return status;
}

/* It stays what it is: a disk that does not answer now may do so later, and nothing is made again for that. */
static Status note_unread(Deliverer *d, Status why)
{
    if (d->done.unread++ == 0) d->first_unread = text_copy(why.message);
    return status_ok();
}

/* Nobody is shown a likeness without a consent that holds now. Those whose consent is gone were withdrawn before (withdraw.h); what is
 * left here are those that cannot be asked about, and they stay approved. */
static Status may_deliver(Deliverer *d, int64_t clip, bool *may)
{
    char *reason;
    TRY(guard_may_deliver(d->guard, d->ledger, clip, &reason));
    *may = !reason;
    Status status = reason ? note_unread(d, status_fail(ERR_NODE, "%s", reason)) : status_ok();
    free(reason);
    return status;
}

static Status deliver_one(void *self, const ClipRow *r)
{
    Deliverer *d = self;
    bool delivered = strcmp(r->state, "delivered") == 0;
    if (!delivered && strcmp(r->state, "approved") != 0) return status_ok();
    if (!delivered) {
        bool may = false;
        TRY(may_deliver(d, r->clip, &may));
        if (!may) return status_ok();
    }
    int files = d->file_count;
    int64_t bytes = d->bytes;
    d->mended = 0;
    Status status = settle_files(d, r, delivered);
    if (!failed(status)) {
        if (!delivered || d->mended > 0)
            d->settled[d->settled_count++] = (Settled){
                .clip = r->clip, .again = delivered, .clip_id = text_copy(r->clip_id), .sha256 = text_copy(r->sha256)};
        return status;
    }
    drop_files(d, files, true);
    twins_forget_places(d->twins); /* those of this clip are gone with its drafts */
    d->bytes = bytes;
    if (status.err == ERR_NODE) return note_unread(d, status);
    if (status.err != ERR_CLIP) return status;
    const char *inside = d->from; /* the list goes to others: no folder of this machine in it */
    const char *why =
        strncmp(status.message, inside, strlen(inside)) == 0 ? status.message + strlen(inside) + 1 : status.message;
    d->settled[d->settled_count++] = (Settled){.clip = r->clip, .why = text_copy(why)};
    if (d->done.lost++ == 0) d->first_lost = text_copy(why);
    return status_ok();
}

/* ---- batches ---- */

static Status note_batch(Deliverer *d)
{
    Status status = status_ok();
    if (ledger_epoch(d->ledger) == 0)
        TRY(ledger_begin_epoch(d->ledger, d->options.host, (int)getpid(), moment_wall_s()));
    TRY(ledger_begin(d->ledger, moment_wall_s()));
    for (int i = 0; i < d->settled_count && !failed(status); i++) {
        const Settled *s = &d->settled[i];
        status = s->why ? ledger_lose_clip(d->ledger, s->clip, s->why) : ledger_note_delivered(d->ledger, s->clip);
    }
    if (failed(status)) return ledger_rollback(d->ledger), status;
    TRY(ledger_commit(d->ledger));
    for (int i = 0; i < d->settled_count; i++) {
        d->done.delivered += !d->settled[i].why && !d->settled[i].again;
        d->done.restored += !d->settled[i].why && d->settled[i].again;
        if (!d->settled[i].why && !d->settled[i].again)
            audit_add(d->audit, "delivery", d->settled[i].clip_id, "{s:s}", "sha256", d->settled[i].sha256);
    }
    return audit_flush(d->audit, moment_wall_s());
}

/* The files are on disk; only then are the clips delivered. */
static Status finish_batch(Deliverer *d)
{
    Status status = file_publish_all(d->draft, d->path, d->file_count);
    drop_files(d, 0, false);
    if (!failed(status) && d->settled_count > 0) status = note_batch(d);
    for (int i = 0; i < d->settled_count; i++) clear_settled(&d->settled[i]);
    d->settled_count = 0;
    TRY(status);
    d->done.bytes += d->bytes;
    d->bytes = 0;
    return status_ok();
}

static Status deliver_all(Deliverer *d)
{
    enum { STRIDE = 16 }; /* rows read at a time: so often is looked whether the batch is full */
    int64_t end;
    TRY(ledger_find_ends(d->ledger, &end, NULL));
    for (int64_t row = 0; row < end; row += STRIDE) {
        TRY(ledger_read_clip_range(d->ledger, row, row + STRIDE, (ClipSink){deliver_one, d}));
        if (d->settled_count > BATCH_CLIPS - STRIDE || d->bytes >= BATCH_BYTES) TRY(finish_batch(d));
    }
    TRY(finish_batch(d));
    if (d->done.unread > 0)
        return status_fail(ERR_NODE, "%lld clip%s cannot be delivered now: %s", (long long)d->done.unread,
                           plural_s(d->done.unread), d->first_unread);
    if (d->done.lost == 0) return status_ok();
    return status_fail(ERR_CLIP, "%lld clip%s cannot be delivered, the first because of %s", (long long)d->done.lost,
                       plural_s(d->done.lost), d->first_lost);
}

Status deliver_clips(Ledger *l, const DeliverOptions *o, Delivery *out)
{
    Deliverer *d = memory_get(1, sizeof *d);
    Status status = status_ok();
    *d = (Deliverer){.ledger = l, .options = *o, .from = text_copy(ledger_folder(l)), .twins = twins_new()};
    d->to = path_join(d->from, "delivery");
    TRY_OUT(guard_open(l, &d->guard));
    TRY_OUT(audit_open(d->from, &d->audit));
    TRY_OUT(audit_take_decisions(d->audit, l, moment_wall_s()));
    TRY_OUT(make_open_folder(d->to));
    status = deliver_all(d);
out:
    *out = d->done;
    drop_files(d, 0, true);
    for (int i = 0; i < d->settled_count; i++) clear_settled(&d->settled[i]);
    guard_close(&d->guard);
    audit_close(&d->audit);
    twins_free(&d->twins);
    free(d->from);
    free(d->to);
    free(d->first_lost);
    free(d->first_unread);
    free(d);
    return status;
}
