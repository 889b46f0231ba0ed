/* verb_cameo.c - `reelwright cameo add` and `cameo verify`: those that read people's pictures, sound and video. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "trust/trust.h"
#include "worker/cameo/footage.h"
#include "worker/finish/sound.h"
#include "worker/verbs/verbs.h"

enum { FACES_OF_A_VIDEO = 4, MOST_FACES = 16, LEAST_VOICE_S = 1 };

static int64_t now(void) { return (int64_t)moment_wall_s(); }

/* ---- add ---- */

typedef struct {
    const char *where, *name, *voice, *video, *crop, *picture;
    OptionTexts faces;
    bool minor, public_figure;
} AddOptions;

typedef struct { /* what is to be stored; owns it */
    int count;
    TrustNewMedium medium[MOST_FACES + 4];
    Footage all; /* the faces, for the picture of how they were chosen */
} Media;

static void add_medium(Media *m, const char *kind, char *note, unsigned char *data, size_t bytes)
{
    m->medium[m->count++] = (TrustNewMedium){.kind = kind, .note = note, .data = data, .bytes = bytes};
}

static void clear_media(Media *m)
{
    for (int i = 0; i < m->count; i++) {
        explicit_bzero((void *)(uintptr_t)m->medium[i].data, m->medium[i].bytes);
        free((void *)(uintptr_t)m->medium[i].data);
        free((void *)(uintptr_t)m->medium[i].note);
    }
    footage_clear(&m->all);
}

static char *note_of(const FootageFrame *f, const FootageCrop *crop, bool of_video)
{
    char place[64] = "", where[64] = "photo";
    if (of_video) snprintf(where, sizeof where, "frame at %.2f s", f->at_s);
    if (crop->width) snprintf(place, sizeof place, ", crop %d,%d,%d,%d", crop->x, crop->y, crop->width, crop->height);
    return text_format("%s, %dx%d, sharpness %.0f, motion %.1f%s", where, f->picture.width, f->picture.height,
                       f->sharpness, f->motion, place);
}

/* Moves the frames of `from` into the media. */
static Status take_faces(Media *m, Footage *from, const FootageCrop *crop, bool of_video)
{
    Status status = status_ok();
    for (int i = 0; i < from->count && !failed(status); i++) {
        FootageFrame *f = &from->frame[i];
        unsigned char *data;
        size_t bytes;
        if (m->all.count == MOST_FACES) status = status_fail(ERR_INPUT, "more than %d pictures of a face", MOST_FACES);
        if (!failed(status) && (f->picture.width < FOOTAGE_LEAST_SIDE || f->picture.height < FOOTAGE_LEAST_SIDE))
            status = status_fail(ERR_INPUT, "a picture of %dx%d pixels, expected at least %d a side", f->picture.width,
                                 f->picture.height, FOOTAGE_LEAST_SIDE);
        if (!failed(status)) status = footage_png(&f->picture, &data, &bytes);
        if (failed(status)) break;
        char *note = note_of(f, crop, of_video);
        foreign_print(stdout, "  face %d: %s\n", m->all.count + 1, note);
        add_medium(m, "face", note, data, bytes);
        m->all.frame = memory_resize(m->all.frame, MOST_FACES, sizeof *m->all.frame);
        m->all.frame[m->all.count++] = *f;
        f->picture = (Picture){0};
    }
    footage_clear(from);
    return status;
}

static Status read_faces(const AddOptions *o, Media *m)
{
    FootageCrop crop = {0};
    Footage f;
    if (o->crop) TRY(footage_parse_crop(o->crop, &crop));
    for (int i = 0; i < o->faces.count; i++) {
        TRY(footage_read_photo(o->faces.text[i], &crop, &f));
        TRY(take_faces(m, &f, &crop, false));
    }
    if (!o->video) return status_ok();
    TRY(footage_read_video(o->video, &crop, FACES_OF_A_VIDEO, &f));
    foreign_print(stdout, "looked at %lld frame%s, %.1f s\n", (long long)f.looked_at, plural_s(f.looked_at), f.seconds);
    return take_faces(m, &f, &crop, true);
}

static Status add_picture(const AddOptions *o, Media *m)
{
    unsigned char *data;
    size_t bytes;
    if (m->all.count == 0) return status_ok();
    TRY(footage_contact(&m->all, &data, &bytes));
    add_medium(m, "picture", text_copy("how the faces were chosen"), data, bytes);
    return o->picture ? trust_publish(o->picture, data, bytes) : status_ok();
}

/* 16 bits, one channel: the middle of what is heard. The bytes are the caller's. */
static unsigned char *make_wav(const Sound *sound, size_t *bytes)
{
    const uint32_t rate = SOUND_RATE, samples = (uint32_t)sound->count * 2, riff = 36 + samples, byte_rate = rate * 2,
                   format = 16;
    const uint16_t pcm = 1, channels = 1, align = 2, bits = 16;
    *bytes = 44 + (size_t)samples;
    unsigned char *wav = memory_get(*bytes, 1), *at = wav;
    const struct {
        const void *from;
        size_t n;
    } part[] = {{"RIFF", 4}, {&riff, 4},      {"WAVEfmt ", 8}, {&format, 4}, {&pcm, 2},   {&channels, 2},
                {&rate, 4},  {&byte_rate, 4}, {&align, 2},     {&bits, 2},   {"data", 4}, {&samples, 4}};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        memcpy(at, part[i].from, part[i].n);
        at += part[i].n;
    }
    for (int64_t i = 0; i < sound->count; i++, at += 2) {
        float v = (sound->sample[2 * i] + sound->sample[2 * i + 1]) * 0.5f * 32767;
        int16_t s = (int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
        memcpy(at, &s, 2);
    }
    return wav;
}

static Status read_voice(const AddOptions *o, Media *m)
{
    Sound sound = {0};
    size_t bytes;
    if (!o->voice) return status_ok();
    TRY(sound_read(o->voice, &sound));
    double seconds = sound_seconds(&sound);
    Status status = seconds < LEAST_VOICE_S ? status_fail(ERR_INPUT, "%s: %.1f s of sound, expected at least %d",
                                                          o->voice, seconds, LEAST_VOICE_S)
                                            : status_ok();
    if (!failed(status)) {
        unsigned char *wav = make_wav(&sound, &bytes);
        char *note = text_format("%.1f s, 48 kHz, one channel", seconds);
        printf("  voice: %s\n", note);
        add_medium(m, "voice", note, wav, bytes);
    }
    explicit_bzero(sound.sample, (size_t)sound.count * 2 * sizeof *sound.sample);
    sound_clear(&sound);
    return status;
}

static Status add_with(const AddOptions *o, const char *id)
{
    Media m = {0};
    TrustStore *s = NULL;
    Status status = status_ok();
    TRY_OUT(read_faces(o, &m));
    TRY_OUT(add_picture(o, &m));
    TRY_OUT(read_voice(o, &m));
    TRY_OUT(trust_open(o->where, TRUST_WRITE, &s));
    const TrustNewCameo c = {.id = id,
                             .name = o->name,
                             .minor = o->minor,
                             .public_figure = o->public_figure,
                             .medium_count = m.count,
                             .medium = m.medium};
    TRY_OUT(trust_add_cameo(s, &c, now()));
    foreign_print(
        stdout,
        "cameo %s is in %s; nothing may be made with it before it is verified:\n  reelwright cameo challenge %s\n", id,
        trust_folder(s), id);
out:
    trust_close(&s);
    clear_media(&m);
    return status;
}

static Status add(int argc, char **argv)
{
    AddOptions o = {0};
    int first;
    const Option table[] = {{"name", OPTION_TEXT, &o.name, .value = "N", .help = "the person's name"},
                            {"face", OPTION_TEXTS, &o.faces, .value = "FILE", .help = "a photo of the face; several"},
                            {"video", OPTION_TEXT, &o.video, .value = "FILE",
                             .help = "a video: its sharpest frames with least motion are taken"},
                            {"voice", OPTION_TEXT, &o.voice, .value = "FILE",
                             .help = "a recording of the voice, up to ten minutes; a video will do"},
                            {"crop", OPTION_TEXT, &o.crop, .value = "X,Y,W,H",
                             .help = "the part of the pictures that shows the face, pixels"},
                            {"picture", OPTION_TEXT, &o.picture, .value = "FILE.png",
                             .help = "also write what was chosen there (cameo show --picture does, too)"},
                            {"minor", OPTION_FLAG, &o.minor, .help = "the person is under age"},
                            {"public-figure", OPTION_FLAG, &o.public_figure,
                             .help = "many know this face: consents need evidence, as a minor's do"},
                            {"trust", OPTION_TEXT, &o.where, .value = "DIR",
                             .help = "the trust store ($REELWRIGHT_TRUST, else ~/.local/share/reelwright/trust)"}};
    const Usage usage = {
        .verb = "cameo add",
        .arguments = "ID --name N [--face FILE]... [--voice FILE] [--video FILE] [--crop X,Y,W,H]",
        .about = "Takes a person's likeness into the trust store, encrypted. Whatever FFmpeg reads; the files are not "
                 "changed. For an ID\n"
                 "that is there, the new pictures take the place of the old ones, and the person is verified anew.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (!o.faces.count && !o.video && !o.voice)
        return status_fail(ERR_INPUT, "cameo add: expected --face FILE, --video FILE or --voice FILE");
    return add_with(&o, argv[first]);
}

/* ---- verify ---- */

typedef struct {
    const char *where, *recording, *by, *command, *passcode;
    bool page;
    int port;
} VerifyOptions;

/* With the text on its standard input, from memory: a judge that does not read it has judged, too. */
static Status run_judge(const char *command, const char *text, bool *yes)
{
    int how = 1, in = memfd_create("question", MFD_CLOEXEC);
    if (in < 0 || dprintf(in, "%s\n", text) < 0 || lseek(in, 0, SEEK_SET) != 0) {
        if (in >= 0) close(in);
        return status_errno(ERR_NODE, "cannot start the command");
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(in, STDIN_FILENO);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in);
    if (child < 0) return status_errno(ERR_NODE, "cannot start the command");
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
    *yes = how == 0;
    return status_ok();
}

/* The command reads what it has to judge on its standard input; status 0 is yes. */
static Status ask_command(const VerifyOptions *o, const TrustRecord *r, const TrustChallenge *c, bool *yes)
{
    char *path = realpath(o->recording, NULL);
    if (!path) return status_errno(ERR_INPUT, "%s", o->recording);
    json_t *question = json_pack("{s:s,s:s,s:[s,s],s:s,s:s}", "cameo", r->id, "name", r->name, "sentences",
                                 c->sentence[0], c->sentence[1], "passcode", c->passcode, "recording", path);
    char *text = json_dumps(question, JSON_COMPACT);
    Status status = run_judge(o->command, text, yes);
    free(text);
    json_decref(question);
    free(path);
    return status;
}

/* The person who looks at it types what they hear, which shows that they have listened. */
static Status ask_person(const VerifyOptions *o, const TrustRecord *r, char *heard, size_t room, bool *yes)
{
    *yes = true;
    if (o->passcode) {
        snprintf(heard, room, "%s", o->passcode);
        return status_ok();
    }
    if (!isatty(STDIN_FILENO))
        return status_fail(ERR_INPUT, "expected --passcode CODE, as it is heard in the recording, or --command");
    foreign_print(stdout, "Play %s. Does it show %s, saying that they agree?\nType the code that they say, or no: ",
                  o->recording, r->name);
    fflush(stdout);
    if (!fgets(heard, (int)room, stdin)) return status_fail(ERR_INPUT, "no answer");
    heard[strcspn(heard, "\n")] = 0;
    *yes = strcmp(heard, "no") != 0;
    return status_ok();
}

static Status check_recording(const char *path)
{
    double seconds;
    bool video, sound;
    TRY(footage_probe(path, &seconds, &video, &sound));
    if (!sound) return status_fail(ERR_INPUT, "%s: has no sound; expected the person saying the sentence", path);
    return status_ok();
}

/* ---- verify, on a page ---- */

typedef struct {
    TrustStore *store;
    const char *id;
    TrustVerdict verdict;
} Case;

/* A code that was misheard may be typed again, while attempts are left. */
static Status decide(void *self, const char *by, const char *heard, bool good, bool *over)
{
    Case *c = self;
    TrustChallenge left;
    TrustVerdict v = c->verdict;
    v.by = by;
    v.passcode = good ? heard : NULL;
    v.good = good;
    Status status = trust_verify(c->store, c->id, &v, now());
    *over = !good || !failed(status) || failed(trust_read_challenge(c->store, c->id, now(), &left));
    if (!*over) trust_challenge_clear(&left);
    return status;
}

/* The code is the sentence's end. */
static void hide_code(char *sentence)
{
    const size_t n = strlen(sentence), code = 2 * TRUST_PASSCODE_DIGITS;
    for (size_t i = n > code ? n - code : 0; i < n; i++)
        if (sentence[i] >= '0' && sentence[i] <= '9') sentence[i] = '_';
}

static Status ask_on_page(TrustStore *s, const VerifyOptions *o, const TrustRecord *r, TrustChallenge *c,
                          const TrustVerdict *v, JudgePage *page)
{
    unsigned char *face = NULL;
    JudgeCase what = {.name = r->name,
                      .by = o->by,
                      .sentence = {c->sentence[0], c->sentence[1]},
                      .recording = v->recording,
                      .recording_bytes = v->bytes};
    Case self = {s, r->id, *v};
    if (trust_count_media(r, "face")) TRY(trust_read_medium(s, r, "face", 0, &face, &what.face_bytes));
    what.face = face;
    for (int i = 0; i < 2; i++) hide_code(c->sentence[i]);
    Status status = page(&what, (JudgeSink){decide, &self}, o->port);
    trust_memory_free(face);
    return status;
}

/* ---- verify ---- */

static Status ask_here(TrustStore *s, const VerifyOptions *o, const TrustRecord *r, const TrustChallenge *c,
                       const TrustVerdict *from)
{
    char heard[64] = "";
    bool yes = false;
    TrustVerdict v = *from;
    TRY(o->command ? ask_command(o, r, c, &yes) : ask_person(o, r, heard, sizeof heard, &yes));
    v.by = o->by ? o->by : "command";
    v.passcode = o->command || !yes ? o->passcode : heard;
    v.good = yes;
    return trust_verify(s, r->id, &v, now());
}

static Status verify_with(TrustStore *s, const VerifyOptions *o, const char *id, JudgePage *page)
{
    TrustRecord r, after = {0};
    TrustChallenge c = {0};
    char *recording = NULL;
    size_t bytes = 0;
    TRY(trust_read_record(s, id, &r));
    Status status = status_ok();
    TRY_OUT(trust_read_challenge(s, id, now(), &c));
    TRY_OUT(check_recording(o->recording));
    TRY_OUT(file_read(o->recording, TRUST_MEDIUM_BYTES, &recording, &bytes));
    const TrustVerdict v = {.how = o->command ? "command" : "person", .recording = recording, .bytes = bytes};
    TRY_OUT(o->page ? ask_on_page(s, o, &r, &c, &v, page) : ask_here(s, o, &r, &c, &v));
    TRY_OUT(trust_read_record(s, id, &after));
    foreign_print(stdout, "cameo %s is verified by %s\n", id, after.verified_by);
out:
    if (recording) explicit_bzero(recording, bytes);
    free(recording);
    trust_challenge_clear(&c);
    trust_record_clear(&r);
    trust_record_clear(&after);
    return status;
}

static Status verify(int argc, char **argv, JudgePage *page)
{
    VerifyOptions o = {0};
    int first;
    TrustStore *s = NULL;
    const Option table[] = {
        {"recording", OPTION_TEXT, &o.recording, .value = "FILE", .required = true,
         .help = "the person saying the challenge's sentence; kept, encrypted"},
        {"by", OPTION_TEXT, &o.by, .value = "NAME", .help = "who judges it"},
        {"passcode", OPTION_TEXT, &o.passcode, .value = "CODE",
         .help = "the code that is heard in it (asked on the terminal)"},
        {"command", OPTION_TEXT, &o.command, .value = "CMD",
         .help = "judges instead of a person: reads JSON, status 0 is yes"},
        {"page", OPTION_FLAG, &o.page, .help = "a person judges on a page, in a browser on this machine"},
        {"port", OPTION_INT, &o.port, .value = "N", .min = 1, .max = 65535, .help = "of the page (one that is free)"},
        {"trust", OPTION_TEXT, &o.where, .value = "DIR",
         .help = "the trust store ($REELWRIGHT_TRUST, else ~/.local/share/reelwright/trust)"}};
    const Usage usage = {.verb = "cameo verify",
                         .arguments =
                             "ID --recording FILE --by NAME [--passcode CODE] | --page [--port N] | --command CMD",
                         .about = "Has the recording of a challenge judged: does it show this person, saying the "
                                  "sentence with its code? A code\n"
                                  "counts once, within 30 minutes; five wrong answers use it up.",
                         .option = table,
                         .option_count = sizeof table / sizeof *table,
                         .min_arguments = 1,
                         .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (!o.by && !o.command && !o.page)
        return status_fail(ERR_INPUT, "expected --by NAME (who judges), --page, or --command CMD");
    if (o.page && (o.command || o.passcode))
        return status_fail(ERR_INPUT, "--page: expected no --command and no --passcode beside it");
    if (o.port && !o.page) return status_fail(ERR_INPUT, "--port: expected --page before it");
    TRY(trust_open(o.where, TRUST_WRITE, &s));
    Status status = verify_with(s, &o, argv[first], page);
    trust_close(&s);
    return status;
}

Status verb_cameo_media(int argc, char **argv, JudgePage *page)
{
    return strcmp(argv[1], "add") == 0 ? add(argc - 1, argv + 1) : verify(argc - 1, argv + 1, page);
}
