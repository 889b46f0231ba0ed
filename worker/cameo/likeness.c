#include "worker/cameo/likeness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "common/json_member.h"
#include "common/likeness.h"
#include "common/moment.h"
#include "trust/trust.h"

enum { MAX_SIDE = 1 << 13 };

/* ---- the store's own PNG, decoded from memory ---- */

static Status take_frame(const AVFrame *f, ImageList *list)
{
    if (f->format != AV_PIX_FMT_RGB24 || f->width < 1 || f->height < 1 || f->width > MAX_SIDE || f->height > MAX_SIDE)
        return status_fail(ERR_CLIP, "cameo: its picture is not as the store writes them");
    const size_t row = 3 * (size_t)f->width;
    uint8_t *rgb = memory_get(row, (size_t)f->height);
    for (int y = 0; y < f->height; y++) memcpy(rgb + (size_t)y * row, f->data[0] + (ptrdiff_t)y * f->linesize[0], row);
    list->picture = memory_resize(list->picture, (size_t)list->count + 1, sizeof *list->picture);
    list->picture[list->count++] = (Picture){f->width, f->height, rgb};
    return status_ok();
}

static Status decode_png(const unsigned char *data, size_t bytes, ImageList *list)
{
    AVCodecContext *c = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_PNG));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    int code = c && packet && frame ? av_new_packet(packet, (int)bytes) : AVERROR(ENOMEM);
    if (code >= 0) {
        memcpy(packet->data, data, bytes);
        c->max_pixels = (int64_t)MAX_SIDE * MAX_SIDE;
        c->thread_count = 1;
        code = avcodec_open2(c, c->codec, NULL);
    }
    if (code >= 0) code = avcodec_send_packet(c, packet);
    if (code >= 0) code = avcodec_receive_frame(c, frame);
    Status status = code >= 0 ? take_frame(frame, list) : status_fail(ERR_CLIP, "cameo: its picture cannot be decoded");
    if (packet && packet->data) explicit_bzero(packet->data, bytes);
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&c);
    return status;
}

/* ---- reading ---- */

static Status open_store(const char *folder, TrustStore **out)
{
    Status status = trust_open(folder, TRUST_READ, out);
    return failed(status) ? status_fail(ERR_NODE, "the trust store cannot be read here: %s", status.message) : status;
}

/* Any consent that holds now and allows this: the number of the first, or 0. */
static Status find_any(TrustStore *s, const TrustRecord *r, bool face, int *consent)
{
    TrustConsents c;
    Status status = trust_read_consents(s, r, &c);
    const int64_t now_s = trust_now(s, (int64_t)moment_wall_s());
    *consent = 0;
    for (int i = 0; i < c.count && !*consent; i++)
        if ((face ? c.consent[i].face : c.consent[i].voice) &&
            strcmp(trust_consent_state(&c.consent[i], now_s), "granted") == 0)
            *consent = c.consent[i].number;
    trust_consents_clear(&c);
    if (failed(status)) return status_fail(ERR_RETRY, "cameo: the consents cannot be read, so they do not hold");
    return *consent && r->verified_s > 0 ? status_ok() : status_fail(ERR_RETRY, "cameo: no consent holds any more");
}

typedef struct { /* a medium of a person that a shot is made with */
    const char *path, *sha256;
    bool face; /* a picture of it; else the voice */
    int consent;
    unsigned char *data; /* trust_memory_free */
    size_t bytes;
} ShotMedium;

static Status read_shot_medium(TrustStore *s, const char *id, int number, ShotMedium *m)
{
    TrustRecord r;
    char real[HASH_TEXT];
    const char *kind = m->face ? "face" : "voice", *what = m->face ? "picture" : "voice";
    if (failed(trust_read_record(s, id, &r))) return status_fail(ERR_RETRY, "cameo: its record is gone or damaged");
    Status status = find_any(s, &r, m->face, &m->consent);
    if (!failed(status) && failed(trust_read_medium(s, &r, kind, number, &m->data, &m->bytes)))
        status = status_fail(ERR_RETRY, "cameo: its %s is gone or damaged", what);
    if (!failed(status)) {
        hash_bytes(m->data, m->bytes, real);
        if (strcmp(real, m->sha256) != 0)
            status = status_fail(
                ERR_CLIP, "cameo: another %s than planned with; `reelwright run CAMPAIGN --out DIR --update` takes it",
                what);
    }
    trust_record_clear(&r);
    return status;
}

static Status open_shot_medium(ShotMedium *m)
{
    char id[LIKENESS_ID_BYTES];
    int number;
    const char *folder;
    TrustStore *s;
    if (!likeness_parse(m->path, id, &number, &folder)) return status_fail(ERR_CLIP, "cameo: a damaged name");
    TRY(open_store(folder, &s));
    Status status = read_shot_medium(s, id, number, m);
    trust_close(&s);
    return status;
}

Status likeness_read(const char *path, const char *sha256, ImageList *list)
{
    ShotMedium m = {.path = path, .sha256 = sha256, .face = true};
    Status status = open_shot_medium(&m);
    if (!failed(status)) status = decode_png(m.data, m.bytes, list);
    trust_memory_free(m.data);
    return status;
}

/* ---- the question ---- */

static Status ask(const json_t *campaign, const json_t *cameo, int *consent)
{
    const char *where[TRUST_MAX_WORDS];
    const json_t *audience = json_object_get(campaign, "audience");
    TrustUse use = {.purpose = member_text(cameo, "purpose", ""),
                    .campaign = member_text(campaign, "campaign", ""),
                    .brand = member_text(campaign, "brand", ""),
                    .viewer = member_text(cameo, "for", ""),
                    .territory = where,
                    .face = json_is_true(json_object_get(cameo, "face")),
                    .voice = json_is_true(json_object_get(cameo, "voice"))};
    TrustStore *s;
    if (json_array_size(audience) > TRUST_MAX_WORDS) return status_fail(ERR_CLIP, "cameo: a damaged audience");
    for (size_t i = 0; i < json_array_size(audience); i++) {
        where[i] = json_string_value(json_array_get(audience, i));
        if (!where[i]) return status_fail(ERR_CLIP, "cameo: a damaged audience");
        use.territory_count++;
    }
    TRY(open_store(member_text(campaign, "store", ""), &s));
    TrustAnswer a = trust_allows(s, member_text(cameo, "id", ""), &use, (int64_t)moment_wall_s());
    trust_close(&s);
    *consent = a.consent;
    return a.allowed ? status_ok() : status_fail(ERR_RETRY, "%s", a.reason);
}

Status likeness_check(const char *campaign, const char *clip)
{
    FinishSpec spec;
    int consent;
    Status status = finish_spec_read(campaign, clip, &spec);
    const json_t *cameo = failed(status) ? NULL : finish_spec_get(&spec, "cameo"),
                 *trust = failed(status) ? NULL : finish_spec_get(&spec, "trust");
    if (cameo && !trust)
        status = status_fail(ERR_CLIP, "cameo: no trust store is named");
    else if (cameo)
        status = ask(trust, cameo, &consent);
    finish_spec_clear(&spec);
    return status;
}

static Status read_consent(TrustStore *s, const char *id, int number, char sha256[HASH_TEXT])
{
    TrustRecord r;
    TrustConsents c = {0};
    if (failed(trust_read_record(s, id, &r))) return status_fail(ERR_RETRY, "cameo: its record is gone or damaged");
    Status status = trust_read_consents(s, &r, &c);
    *sha256 = 0;
    for (int i = 0; i < c.count; i++)
        if (c.consent[i].number == number) snprintf(sha256, HASH_TEXT, "%s", c.consent[i].sha256);
    if (!failed(status) && !*sha256) status = status_fail(ERR_RETRY, "cameo: consent %d is gone", number);
    trust_consents_clear(&c);
    trust_record_clear(&r);
    return status;
}

Status likeness_consent(const json_t *trust, const json_t *cameo, char sha256[HASH_TEXT])
{
    TrustStore *s;
    int number;
    TRY(ask(trust, cameo, &number));
    TRY(open_store(member_text(trust, "store", ""), &s));
    Status status = read_consent(s, member_text(cameo, "id", ""), number, sha256);
    trust_close(&s);
    return status;
}

/* ---- the voice ---- */

static Status hand_over(const unsigned char *data, size_t bytes)
{
    int fd = memfd_create("voice", 0); /* children inherit it */
    bool good = fd >= 0;
    for (size_t at = 0; good && at < bytes;) {
        ssize_t n = write(fd, data + at, bytes - at);
        good = n > 0;
        at += good ? (size_t)n : 0;
    }
    good = good && lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, LIKENESS_VOICE_FD) == LIKENESS_VOICE_FD;
    if (fd >= 0) close(fd);
    return good ? status_ok() : status_errno(ERR_NODE, "no memory for a voice");
}

static Status read_medium(TrustStore *s, const char *id, const char *kind, char sha256[HASH_TEXT])
{
    TrustRecord r;
    unsigned char *data = NULL;
    size_t bytes;
    if (failed(trust_read_record(s, id, &r))) return status_fail(ERR_RETRY, "cameo: its record is gone or damaged");
    Status status = trust_count_media(&r, kind)
                        ? status_ok()
                        : status_fail(ERR_CLIP, "the cameo has no %s: reelwright cameo add ID --%s FILE", kind, kind);
    if (!failed(status) && failed(trust_read_medium(s, &r, kind, 0, &data, &bytes)))
        status = status_fail(ERR_RETRY, "cameo: its %s is gone or damaged", kind);
    if (!failed(status)) {
        hash_bytes(data, bytes, sha256);
        status = hand_over(data, bytes);
    }
    trust_memory_free(data);
    trust_record_clear(&r);
    return status;
}

static Status give_medium(const json_t *trust, const json_t *cameo, const char *kind, int *consent,
                          char sha256[HASH_TEXT])
{
    TrustStore *s;
    if (!trust || !json_is_true(json_object_get(cameo, kind)))
        return status_fail(ERR_CLIP, "a cameo's %s is wanted, and the clip has no cameo for it", kind);
    TRY(ask(trust, cameo, consent));
    TRY(open_store(member_text(trust, "store", ""), &s));
    Status status = read_medium(s, member_text(cameo, "id", ""), kind, sha256);
    trust_close(&s);
    return status;
}

Status likeness_voice(const json_t *trust, const json_t *cameo, int *consent, char sha256[HASH_TEXT])
{
    return give_medium(trust, cameo, "voice", consent, sha256);
}

Status likeness_face(const json_t *trust, const json_t *cameo, int *consent, char sha256[HASH_TEXT])
{
    return give_medium(trust, cameo, "face", consent, sha256);
}

Status likeness_shot_voice(const char *path, const char *sha256, int *consent)
{
    ShotMedium m = {.path = path, .sha256 = sha256};
    Status status = open_shot_medium(&m);
    if (!failed(status)) status = hand_over(m.data, m.bytes);
    *consent = m.consent;
    trust_memory_free(m.data);
    return status;
}

void likeness_voice_end(void) { close(LIKENESS_VOICE_FD); }
