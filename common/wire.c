/* wire.c - one pass over a message's fields serves both directions, so that what is written and what is read cannot differ. */
#include "wire.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { HEADER_BYTES = 12 };
static const char magic[4] = {'R', 'W', 'I', 'R'};

typedef struct {
    bool writing;
    unsigned char *data;
    size_t at, end;  /* writing: bytes so far, room; reading: position, size */
    const char *bad; /* the first field that did not fit, or NULL */
} Codec;

static void make_room(Codec *c, size_t bytes)
{
    c->end = 2 * c->end + bytes + 512;
    c->data = memory_resize(c->data, c->end, 1);
}

/* inline: with the size of a number known, copying it is one instruction, and a message has a hundred of them */
static inline void pass_bytes(Codec *c, void *value, size_t bytes, const char *field)
{
    if (c->writing) {
        if (c->end - c->at < bytes) make_room(c, bytes);
        memcpy(c->data + c->at, value, bytes);
    } else if (c->bad || c->end - c->at < bytes) {
        if (!c->bad) c->bad = field;
        memset(value, 0, bytes);
        return;
    } else {
        memcpy(value, c->data + c->at, bytes);
    }
    c->at += bytes;
}

static inline void pass_number(Codec *c, uint64_t *value, size_t bytes, const char *field)
{
    uint64_t raw = c->writing ? htole64(*value) : 0;
    pass_bytes(c, &raw, bytes, field);
    if (!c->writing) *value = le64toh(raw);
}

static void pass_int(Codec *c, int *value, const char *field)
{
    uint64_t wide = (uint32_t)*value;
    pass_number(c, &wide, 4, field);
    if (!c->writing) *value = (int)(uint32_t)wide;
}

static void pass_int64(Codec *c, int64_t *value, const char *field)
{
    uint64_t wide = (uint64_t)*value;
    pass_number(c, &wide, 8, field);
    if (!c->writing) *value = (int64_t)wide;
}

static void pass_real(Codec *c, double *value, const char *field)
{
    uint64_t wide;
    memcpy(&wide, value, sizeof wide);
    pass_number(c, &wide, 8, field);
    if (!c->writing) memcpy(value, &wide, sizeof wide);
}

/* Reads the length of a text that must lie within the message and hold no 0 byte; 0 when it does not. */
static size_t read_length(Codec *c, const char *field)
{
    uint64_t length = 0;
    pass_number(c, &length, 4, field);
    if (!c->bad && (length > c->end - c->at || memchr(c->data + c->at, 0, (size_t)length))) c->bad = field;
    return c->bad ? 0 : (size_t)length;
}

static void write_text(Codec *c, const char *text)
{
    uint64_t length = strlen(text);
    pass_number(c, &length, 4, "");
    if (length) pass_bytes(c, (void *)(uintptr_t)text, (size_t)length, "");
}

static void pass_text(Codec *c, char **text, const char *field)
{
    if (c->writing) {
        write_text(c, *text ? *text : "");
        return;
    }
    size_t length = read_length(c, field);
    *text = memory_get(length + 1, 1);
    pass_bytes(c, *text, length, field);
}

static void pass_name(Codec *c, char *text, size_t room, const char *field)
{
    if (c->writing) {
        write_text(c, text);
        return;
    }
    size_t length = read_length(c, field);
    if (length >= room) c->bad = field;
    memset(text, 0, room);
    if (!c->bad) pass_bytes(c, text, length, field);
}

/* A list's length: no larger than what the rest of the message can hold. */
static void pass_count(Codec *c, int *count, size_t most, const char *field)
{
    pass_int(c, count, field);
    if (c->writing) return;
    if (!c->bad && (*count < 0 || (size_t)*count > most)) c->bad = field;
    if (c->bad) *count = 0;
}

/* The shot travels as its JSON. A text that describes no shot is a bad message. */
static void pass_spec(Codec *c, Lease *l)
{
    pass_text(c, &l->spec, "shot");
    if (!c->writing && !c->bad && failed(shot_from_json(l->spec, &l->shot))) c->bad = "shot";
}

static void pass_kind(Codec *c, LeaseKind *kind)
{
    int number = (int)*kind;
    pass_int(c, &number, "kind of lease");
    if (!c->writing && !c->bad && (number < 0 || number >= LEASE_KINDS)) c->bad = "kind of lease";
    if (!c->writing) *kind = c->bad ? LEASE_RENDER : (LeaseKind)number;
}

static void pass_master(Codec *c, MasterFile *m)
{
    pass_int64(c, &m->bytes, "size of the master");
    pass_name(c, m->sha256, sizeof m->sha256, "sha256 of the master");
}

static void pass_lease(Codec *c, Lease *l)
{
    pass_kind(c, &l->kind);
    pass_int64(c, &l->lease, "lease");
    pass_int64(c, &l->epoch, "epoch");
    pass_name(c, l->key, sizeof l->key, "key");
    pass_text(c, &l->campaign_folder, "campaign folder");
    pass_spec(c, l);
    pass_text(c, &l->clip_id, "clip id");
    if (l->kind == LEASE_FINISH) {
        pass_text(c, &l->stem, "stem");
        pass_text(c, &l->finish, "finish");
        pass_text(c, &l->clip_finish, "finish of the clip");
        pass_master(c, &l->master);
        return;
    }
    pass_int(c, &l->clip_count, "number of clips");
    pass_int(c, &l->checkpoint_every, "checkpoint_every");
    pass_int(c, &l->mixed, "mixed");
    pass_name(c, l->model_hash, sizeof l->model_hash, "model hash");
    pass_text(c, &l->model_folder, "model folder");
    pass_int64(c, &l->group, "group");
    pass_count(c, &l->member_count, LEASE_MAX_RANKS, "number of members");
    for (int i = 0; i < l->member_count; i++) pass_int(c, &l->member[i], "member");
}

static void pass_clip_result(Codec *c, ClipResult *r)
{
    pass_text(c, &r->clip_id, "clip id");
    pass_text(c, &r->file, "file");
    pass_text(c, &r->thumbnail, "thumbnail");
    pass_text(c, &r->sheet, "sheet");
    pass_name(c, r->sha256, sizeof r->sha256, "sha256");
    pass_real(c, &r->duration_s, "duration");
    pass_int(c, &r->width, "width");
    pass_int(c, &r->height, "height");
    pass_count(c, &r->name_count, CLIP_MAX_FILES, "number of files");
    if (!c->writing) r->name = memory_get((size_t)r->name_count, sizeof *r->name);
    for (int i = 0; i < r->name_count; i++) pass_text(c, &r->name[i], "name of a file");
    pass_text(c, &r->document, "document");
}

static void pass_result(Codec *c, LeaseResult *r)
{
    pass_kind(c, &r->kind);
    pass_int64(c, &r->lease, "lease");
    pass_int64(c, &r->epoch, "epoch");
    pass_name(c, r->key, sizeof r->key, "key");
    pass_int(c, &r->err, "error class");
    if (!c->writing && !c->bad && (r->err < OK || r->err > ERR_STOP)) c->bad = "error class";
    pass_text(c, &r->reason, "reason");
    pass_int(c, &r->disk_full, "disk_full");
    pass_int(c, &r->master_bad, "master_bad");
    pass_real(c, &r->encode_text_s, "encode_text_s");
    pass_real(c, &r->denoise_s, "denoise_s");
    pass_real(c, &r->decode_s, "decode_s");
    pass_real(c, &r->finish_s, "finish_s");
    pass_int(c, &r->steps_done, "steps_done");
    pass_int(c, &r->steps_resumed, "steps_resumed");
    pass_int(c, &r->group_over, "group_over");
    pass_text(c, &r->figures, "figures");
    if (r->kind == LEASE_FINISH)
        pass_clip_result(c, &r->clip);
    else
        pass_master(c, &r->master);
}

static void pass_message(Codec *c, WireMessage *m)
{
    pass_int64(c, &m->epoch, "epoch");
    pass_int64(c, &m->lease, "lease");
    switch (m->kind) {
    case WIRE_READY:
        pass_text(c, &m->as.ready.host, "host");
        pass_int(c, &m->as.ready.pid, "pid");
        pass_int(c, &m->as.ready.threads, "threads");
        pass_int(c, &m->as.ready.takes, "kinds of lease");
        pass_int64(c, &m->as.ready.tail, "tail");
        break;
    case WIRE_LEASE:
        pass_lease(c, &m->as.lease);
        break;
    case WIRE_PROGRESS:
        pass_name(c, m->as.progress.stage, sizeof m->as.progress.stage, "stage");
        pass_int(c, &m->as.progress.done, "done");
        pass_int(c, &m->as.progress.total, "total");
        break;
    case WIRE_RESULT:
        pass_result(c, &m->as.result);
        break;
    case WIRE_STOP:
        pass_int(c, &m->as.stop, "why");
        break;
    case WIRE_ACK:
    case WIRE_BYE:
        break;
    }
}

static void pass_header(Codec *c, uint64_t *version, uint64_t *kind, uint64_t *length, char mark[4])
{
    pass_bytes(c, mark, 4, "mark");
    pass_number(c, version, 2, "version");
    pass_number(c, kind, 2, "kind");
    pass_number(c, length, 4, "length");
}

void wire_encode(const WireMessage *m, unsigned char **data, size_t *bytes)
{
    Codec c = {.writing = true};
    uint64_t version = WIRE_VERSION, kind = (uint64_t)m->kind, length = 0;
    char mark[4];
    memcpy(mark, magic, sizeof mark);
    WireMessage copy = *m; /* writing changes nothing; the pass is the same for both directions */
    pass_header(&c, &version, &kind, &length, mark);
    pass_message(&c, &copy);
    *bytes = c.at;
    length = c.at - HEADER_BYTES;
    c.at = HEADER_BYTES - 4;
    pass_number(&c, &length, 4, "length");
    *data = c.data;
}

Status wire_decode(const void *data, size_t bytes, WireMessage *m)
{
    Codec c = {.data = (unsigned char *)(uintptr_t)data, .end = bytes};
    uint64_t version = 0, kind = 0, length = 0;
    char mark[4];
    memset(m, 0, sizeof *m);
    pass_header(&c, &version, &kind, &length, mark);
    if (c.bad || memcmp(mark, magic, sizeof mark) != 0)
        return status_fail(ERR_INPUT, "message: not one of reelwright's");
    if (version != WIRE_VERSION)
        return status_fail(ERR_INPUT, "message: version %d, expected %d: is another reelwright on the other end?",
                           (int)version, WIRE_VERSION);
    if (kind < WIRE_READY || kind > WIRE_BYE) return status_fail(ERR_INPUT, "message: unknown kind %d", (int)kind);
    if (length != bytes - HEADER_BYTES)
        return status_fail(ERR_INPUT, "message: %zu bytes after the header, expected %zu", bytes - HEADER_BYTES,
                           (size_t)length);
    m->kind = (WireKind)kind;
    pass_message(&c, m);
    if (!c.bad && c.at != c.end) c.bad = "end";
    if (!c.bad) return status_ok();
    const WireMessage head = {.kind = (WireKind)kind, .epoch = m->epoch, .lease = m->lease};
    wire_clear(m);
    *m = head;
    return status_fail(ERR_INPUT, "message of kind %d: bad %s", (int)kind, c.bad);
}

void wire_clear(WireMessage *m)
{
    if (m->kind == WIRE_READY) free(m->as.ready.host);
    if (m->kind == WIRE_LEASE) lease_clear(&m->as.lease);
    if (m->kind == WIRE_RESULT) lease_result_clear(&m->as.result);
    memset(m, 0, sizeof *m);
}
