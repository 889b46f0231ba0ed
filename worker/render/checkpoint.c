#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hdf5.h>

#include "common/file.h"
#include "common/foreign.h"

static const char format_name[] = "reelwright-latents";
enum { SOLVER_MAX = sizeof((DenoiseState *)0)->solver / sizeof(float *), IMAGE_GROWTH = 1 << 12, DIM_MAX = 1 << 20 };
enum { SEAL_BYTES = 1 + 18 + 1 + 4 + 1 + 6 + 1 + 64 + 1 }; /* "\nreelwright-latents 0001 sha256 ...\n" */
static const size_t file_max_bytes = (size_t)4 << 30;

CheckpointOwner checkpoint_owner(const ShotSpec *s, const char *key, const char *model_hash, const char *dtype,
                                 const char *kind)
{
    CheckpointOwner o = {.seed = s->seed,
                         .width = s->width,
                         .height = s->height,
                         .frames = s->frames,
                         .fps = s->fps,
                         .steps = s->steps,
                         .guidance = s->guidance};
    snprintf(o.shot, sizeof o.shot, "%s", key);
    snprintf(o.model, sizeof o.model, "%s", model_hash);
    snprintf(o.dtype, sizeof o.dtype, "%s", dtype);
    snprintf(o.kind, sizeof o.kind, "%s", kind);
    hash_bytes(s->prompt, strlen(s->prompt), o.prompt_sha256);
    return o;
}

static int64_t element_count(const int64_t dim[4]) { return dim[0] * dim[1] * dim[2] * dim[3]; }

void checkpoint_clear(Checkpoint *c)
{
    free(c->state.latents);
    for (int i = 0; i < SOLVER_MAX; i++) free(c->state.solver[i]);
    for (int i = 0; i < STATE_MOST_TENSORS; i++) free(c->state.more[i].data);
    memset(c, 0, sizeof *c);
}

/* ---- what the file says, as one table: the same rows write, read and hash it -------------------------------------- */

typedef enum { ROW_TEXT, ROW_INT, ROW_SEED, ROW_REAL } RowKind;
typedef struct {
    const char *name;
    RowKind kind;
    size_t at, size; /* of the field in Checkpoint */
} Row;

#define ROW(name, kind, field)                                                                                         \
    {                                                                                                                  \
        name, kind, offsetof(Checkpoint, field), sizeof(((Checkpoint *)0)->field)                                      \
    }
static const Row root_rows[] = {
    ROW("shot", ROW_TEXT, owner.shot),
    ROW("model", ROW_TEXT, owner.model),
    ROW("prompt_sha256", ROW_TEXT, owner.prompt_sha256),
    ROW("dtype", ROW_TEXT, owner.dtype),
    ROW("kind", ROW_TEXT, owner.kind),
    ROW("seed", ROW_SEED, owner.seed),
    ROW("width", ROW_INT, owner.width),
    ROW("height", ROW_INT, owner.height),
    ROW("frames", ROW_INT, owner.frames),
    ROW("fps", ROW_INT, owner.fps),
    ROW("steps", ROW_INT, owner.steps),
    ROW("step", ROW_INT, state.step),
    ROW("guidance", ROW_REAL, owner.guidance),
};
static const Row solver_rows[] = {
    ROW("count", ROW_INT, state.solver_count),
    ROW("lower_order_nums", ROW_INT, state.lower_order_nums),
};
enum { ROOT_ROWS = sizeof root_rows / sizeof *root_rows, SOLVER_ROWS = sizeof solver_rows / sizeof *solver_rows };

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1); /* variable length, UTF-8: what h5py reads as str */
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* The library prints its own error stack on stderr unless told otherwise; ours say what matters. */
static void silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static bool put_attribute(hid_t group, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = a >= 0 && H5Awrite(a, type, value) >= 0;
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return good;
}

static bool put_text(hid_t group, const char *name, const char *text)
{
    hid_t type = text_type();
    bool good = put_attribute(group, name, type, &text);
    H5Tclose(type);
    return good;
}

static bool put_rows(hid_t group, const Row *row, int count, const Checkpoint *c)
{
    bool good = true;
    for (int i = 0; good && i < count; i++) {
        const void *field = (const char *)c + row[i].at;
        if (row[i].kind == ROW_TEXT)
            good = put_text(group, row[i].name, field);
        else if (row[i].kind == ROW_INT)
            good = put_attribute(group, row[i].name, H5T_NATIVE_INT, field);
        else if (row[i].kind == ROW_SEED)
            good = put_attribute(group, row[i].name, H5T_NATIVE_UINT64, field);
        else
            good = put_attribute(group, row[i].name, H5T_NATIVE_DOUBLE, field);
    }
    return good;
}

static bool put_tensor(hid_t group, const char *name, const int64_t dim[4], const float *data)
{
    const hsize_t size[4] = {(hsize_t)dim[0], (hsize_t)dim[1], (hsize_t)dim[2], (hsize_t)dim[3]};
    hid_t space = H5Screate_simple(4, size, NULL);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(create, false); /* the same contents are the same bytes */
    hid_t set = H5Dcreate2(group, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    bool good = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0) H5Dclose(set);
    H5Pclose(create);
    H5Sclose(space);
    return good;
}

static bool put_solver(hid_t file, const Checkpoint *c)
{
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(create, false);
    hid_t group = H5Gcreate2(file, "solver", H5P_DEFAULT, create, H5P_DEFAULT);
    bool good = group >= 0 && put_rows(group, solver_rows, SOLVER_ROWS, c);
    for (int i = 0; good && i < c->state.solver_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "history.%d", i);
        good = put_tensor(group, name, c->dim, c->state.solver[i]);
    }
    if (group >= 0) H5Gclose(group);
    H5Pclose(create);
    return good;
}

static bool put_more(hid_t file, const Checkpoint *c)
{
    if (c->state.more_count == 0) return true;
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(create, false);
    hid_t group = H5Gcreate2(file, "more", H5P_DEFAULT, create, H5P_DEFAULT);
    bool good = group >= 0;
    for (int i = 0; good && i < c->state.more_count; i++)
        good = put_tensor(group, c->state.more[i].name, c->state.more[i].dim, c->state.more[i].data);
    if (group >= 0) H5Gclose(group);
    H5Pclose(create);
    return good;
}

static bool put_all(hid_t file, const Checkpoint *c)
{
    static const int version = CHECKPOINT_VERSION;
    return put_text(file, "format", format_name) && put_attribute(file, "version", H5T_NATIVE_INT, &version) &&
           put_rows(file, root_rows, ROOT_ROWS, c) && put_tensor(file, "latents", c->dim, c->state.latents) &&
           put_solver(file, c) && put_more(file, c) && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
}

static void seal_text(char seal[SEAL_BYTES + 1], int version, const char *sum)
{
    snprintf(seal, SEAL_BYTES + 1, "\n%s %04d sha256 %s\n", format_name, version, sum);
}

/* A copy of the file's bytes with the seal after them; NULL when out of memory. Not H5Fget_file_image: 1.10.8 clears a flag
 * in the superblock there and leaves its checksum, so that nothing can open the image. */
static char *copy_image(hid_t file, hid_t access, size_t *bytes)
{
    void **memory = NULL;
    hsize_t size = 0;
    if (H5Fget_vfd_handle(file, access, (void **)&memory) < 0 || !memory || H5Fget_filesize(file, &size) < 0)
        return NULL;
    char *image = malloc((size_t)size + SEAL_BYTES + 1);
    if (!image) return NULL;
    char sum[HASH_TEXT];
    memcpy(image, *memory, (size_t)size);
    hash_bytes(image, (size_t)size, sum);
    seal_text(image + size, CHECKPOINT_VERSION, sum);
    *bytes = (size_t)size + SEAL_BYTES;
    return image;
}

/* The whole file as it is to stand on disk, free() it; NULL when out of memory, the one way in which this can fail. */
static char *compose(const Checkpoint *c, size_t *bytes)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    /* without it HDF5 would make a file on disk, and what it calls its memory would be none */
    bool in_memory = H5Pset_fapl_core(access, IMAGE_GROWTH, false) >= 0;
    /* from 1.8 on metadata carry checksums; 1.10's superblock would say "open for writing" while it is copied */
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_obj_track_times(create, false);
    hid_t file = in_memory ? H5Fcreate("checkpoint", H5F_ACC_TRUNC, create, access) : -1;
    char *image = file >= 0 && put_all(file, c) ? copy_image(file, access, bytes) : NULL;
    if (file >= 0) H5Fclose(file);
    H5Pclose(create);
    H5Pclose(access);
    return image;
}

Status checkpoint_write(const char *path, const Checkpoint *c)
{
    size_t bytes;
    silence();
    char *image = compose(c, &bytes);
    Status status = image ? file_replace(path, image, bytes) : status_fail(ERR_NODE, "%s: out of memory", path);
    free(image);
    return status_at(status, "checkpoint");
}

CheckpointMark checkpoint_mark(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return (CheckpointMark){0};
    return (CheckpointMark){.device = st.st_dev,
                            .inode = st.st_ino,
                            .changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec};
}

Status checkpoint_write_since(const char *path, const Checkpoint *c, CheckpointMark *mark)
{
    CheckpointMark now = checkpoint_mark(path);
    Checkpoint there = {0};
    bool same = now.device == mark->device && now.inode == mark->inode && now.changed_ns == mark->changed_ns;
    bool further =
        !same && now.inode && !failed(checkpoint_read(path, &c->owner, &there)) && there.state.step >= c->state.step;
    checkpoint_clear(&there);
    Status status = further ? status_ok() : checkpoint_write(path, c);
    *mark = checkpoint_mark(path);
    return status;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static Status damaged(const char *what) { return status_fail(ERR_INPUT, "damaged checkpoint: %s", what); }

static Status get_number(hid_t group, const char *name, hid_t native, void *value)
{
    hid_t a = H5Aopen(group, name, H5P_DEFAULT);
    hid_t type = a >= 0 ? H5Aget_type(a) : -1, space = a >= 0 ? H5Aget_space(a) : -1;
    H5T_class_t want = H5Tget_class(native);
    bool good = type >= 0 && H5Tget_class(type) == want && H5Tget_size(type) <= 8 && space >= 0 &&
                H5Sget_simple_extent_npoints(space) == 1 && H5Aread(a, native, value) >= 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (a >= 0) H5Aclose(a);
    return good ? status_ok()
                : status_fail(ERR_INPUT, "damaged checkpoint: attribute %s is missing or no number", name);
}

static Status get_text(hid_t group, const char *name, char *text, size_t size)
{
    char *got = NULL;
    hid_t mine = text_type();
    hid_t a = H5Aopen(group, name, H5P_DEFAULT);
    hid_t type = a >= 0 ? H5Aget_type(a) : -1, space = a >= 0 ? H5Aget_space(a) : -1;
    bool good = type >= 0 && H5Tis_variable_str(type) > 0 && space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                H5Aread(a, mine, &got) >= 0 && got && strlen(got) < size;
    if (good) memcpy(text, got, strlen(got) + 1);
    if (got) H5free_memory(got);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (a >= 0) H5Aclose(a);
    H5Tclose(mine);
    return good ? status_ok()
                : status_fail(ERR_INPUT, "damaged checkpoint: attribute %s is missing or no text of up to %zu bytes",
                              name, size - 1);
}

static Status get_rows(hid_t group, const Row *row, int count, Checkpoint *c)
{
    for (int i = 0; i < count; i++) {
        void *field = (char *)c + row[i].at;
        if (row[i].kind == ROW_TEXT)
            TRY(get_text(group, row[i].name, field, row[i].size));
        else if (row[i].kind == ROW_INT)
            TRY(get_number(group, row[i].name, H5T_NATIVE_INT, field));
        else if (row[i].kind == ROW_SEED)
            TRY(get_number(group, row[i].name, H5T_NATIVE_UINT64, field));
        else
            TRY(get_number(group, row[i].name, H5T_NATIVE_DOUBLE, field));
    }
    return status_ok();
}

/* Opens a dataset only if reading it cannot lead out of this file: no soft or external link, no external storage. */
static hid_t open_plain(hid_t group, const char *name)
{
    H5L_info_t link;
    if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) return -1;
    hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    if (set < 0) return -1;
    hid_t made = H5Dget_create_plist(set), type = H5Dget_type(set);
    bool plain = made >= 0 && H5Pget_layout(made) == H5D_CONTIGUOUS && H5Pget_external_count(made) == 0 && type >= 0 &&
                 H5Tequal(type, H5T_IEEE_F32LE) > 0;
    if (type >= 0) H5Tclose(type);
    if (made >= 0) H5Pclose(made);
    if (plain) return set;
    H5Dclose(set);
    return -1;
}

static bool get_dims(hid_t set, int64_t dim[4])
{
    hsize_t size[4];
    hid_t space = H5Dget_space(set);
    bool good =
        space >= 0 && H5Sget_simple_extent_ndims(space) == 4 && H5Sget_simple_extent_dims(space, size, NULL) == 4;
    if (space >= 0) H5Sclose(space);
    for (int i = 0; good && i < 4; i++) {
        good = size[i] >= 1 && size[i] <= DIM_MAX;
        dim[i] = (int64_t)size[i];
    }
    return good;
}

static bool all_finite(const float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* dim: all 0 takes the file's, otherwise they must be equal. A tensor cannot be larger than the file that holds it. */
static Status get_tensor(hid_t group, const char *name, size_t file_bytes, int64_t dim[4], float **out)
{
    Status status = status_ok();
    int64_t got[4] = {0};
    hid_t set = open_plain(group, name);
    if (set < 0 || !get_dims(set, got))
        TRY_OUT(status_fail(ERR_INPUT, "damaged checkpoint: %s is missing or not float32 [C,F,H,W]", name));
    if (dim[0] && memcmp(dim, got, sizeof got) != 0)
        TRY_OUT(status_fail(ERR_INPUT, "damaged checkpoint: %s has another shape than latents", name));
    if ((double)got[0] * (double)got[1] * (double)got[2] * (double)got[3] * sizeof(float) > (double)file_bytes)
        TRY_OUT(status_fail(ERR_INPUT, "damaged checkpoint: %s is larger than the file", name));
    memcpy(dim, got, sizeof got);
    *out = malloc((size_t)element_count(dim) * sizeof(float));
    if (!*out) TRY_OUT(status_fail(ERR_NODE, "checkpoint: out of memory"));
    if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
        TRY_OUT(status_fail(ERR_INPUT, "damaged checkpoint: %s cannot be read", name));
    if (!all_finite(*out, element_count(dim)))
        TRY_OUT(status_fail(ERR_INPUT, "damaged checkpoint: %s holds values that are not finite", name));
out:
    if (set >= 0) H5Dclose(set);
    return status;
}

static Status get_solver(hid_t file, size_t file_bytes, Checkpoint *c)
{
    Status status = status_ok();
    H5L_info_t link;
    hid_t group = -1;
    if (H5Lget_info(file, "solver", &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD)
        group = H5Gopen2(file, "solver", H5P_DEFAULT);
    if (group < 0) return damaged("group solver is missing");
    TRY_OUT(get_rows(group, solver_rows, SOLVER_ROWS, c));
    if (c->state.solver_count < 0 || c->state.solver_count > SOLVER_MAX) TRY_OUT(damaged("solver count out of range"));
    for (int i = 0; i < c->state.solver_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "history.%d", i);
        TRY_OUT(get_tensor(group, name, file_bytes, c->dim, &c->state.solver[i]));
    }
out:
    H5Gclose(group);
    return status;
}

/* One of those in the group, by its place; its name is as small as ours are. */
static Status get_one_more(hid_t group, hsize_t place, size_t file_bytes, StateTensor *out)
{
    const ssize_t length =
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, place, out->name, sizeof out->name, H5P_DEFAULT);
    if (length < 1 || length >= (ssize_t)sizeof out->name || out->name[strspn(out->name, "abcdefghijklmnopqrstuvwxyz")])
        return damaged("a tensor of group more has no name in small letters");
    return get_tensor(group, out->name, file_bytes, out->dim, &out->data);
}

static Status get_more(hid_t file, size_t file_bytes, Checkpoint *c)
{
    Status status = status_ok();
    H5L_info_t link;
    H5G_info_t info = {0};
    if (H5Lexists(file, "more", H5P_DEFAULT) <= 0) return status_ok();
    hid_t group = -1;
    if (H5Lget_info(file, "more", &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD)
        group = H5Gopen2(file, "more", H5P_DEFAULT);
    if (group < 0 || H5Gget_info(group, &info) < 0 || info.nlinks > STATE_MOST_TENSORS)
        TRY_OUT(
            status_fail(ERR_INPUT, "damaged checkpoint: group more is none of at most %d tensors", STATE_MOST_TENSORS));
    for (hsize_t i = 0; i < info.nlinks; i++) {
        c->state.more_count = (int)i + 1;
        TRY_OUT(get_one_more(group, i, file_bytes, &c->state.more[i]));
    }
out:
    if (group >= 0) H5Gclose(group);
    return status;
}

/* What a seal does not keep from being nonsense: these go to JSON and to a terminal. */
static Status check_words(const CheckpointOwner *o)
{
    const struct {
        const char *name, *text;
    } word[] = {{"shot", o->shot},   {"model", o->model}, {"prompt_sha256", o->prompt_sha256},
                {"dtype", o->dtype}, {"kind", o->kind},   {"kind", o->kind}};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (!foreign_is_safe(word[i].text))
            return status_fail(ERR_INPUT, "damaged checkpoint: attribute %s is no plain text", word[i].name);
    if (!isfinite(o->guidance)) return damaged("attribute guidance is no finite number");
    if (o->width < 1 || o->height < 1 || o->frames < 1 || o->fps < 1) return damaged("a size, length or rate below 1");
    return status_ok();
}

static Status get_all(hid_t file, size_t file_bytes, Checkpoint *c)
{
    char text[HASH_TEXT] = "";
    int version = 0;
    if (H5Aexists(file, "format") <= 0 || failed(get_text(file, "format", text, sizeof text)) ||
        strcmp(text, format_name) != 0)
        return status_fail(ERR_INPUT, "not a checkpoint: expected attribute format = \"%s\"", format_name);
    TRY(get_number(file, "version", H5T_NATIVE_INT, &version));
    if (version != CHECKPOINT_VERSION)
        return status_fail(ERR_INPUT, "checkpoint of version %d, expected %d", version, CHECKPOINT_VERSION);
    TRY(get_rows(file, root_rows, ROOT_ROWS, c));
    TRY(check_words(&c->owner));
    if (c->state.step < 1 || c->state.step > c->owner.steps) return damaged("step out of range");
    TRY(get_tensor(file, "latents", file_bytes, c->dim, &c->state.latents));
    TRY(get_solver(file, file_bytes, c));
    return get_more(file, file_bytes, c);
}

/* HDF5 gets to see only what was written: 1.10.8 loops for ever on a damaged global heap, where its texts are. */
static Status check_seal(const char *bytes, size_t count)
{
    char sum[HASH_TEXT], want[SEAL_BYTES + 1] = "";
    int version = 0;
    size_t name = 1 + strlen(format_name);
    const char *seal = count < SEAL_BYTES ? NULL : bytes + count - SEAL_BYTES;
    seal_text(want, CHECKPOINT_VERSION, "");
    if (!seal || memcmp(seal, want, name) != 0)
        return status_fail(ERR_INPUT, "not a checkpoint, or one cut short: expected a seal at its end");
    memcpy(want, seal, SEAL_BYTES);
    want[SEAL_BYTES] = 0;
    if (sscanf(want + name, "%d", &version) != 1 || version != CHECKPOINT_VERSION)
        return status_fail(ERR_INPUT, "checkpoint of version %d, expected %d", version, CHECKPOINT_VERSION);
    hash_bytes(bytes, count - SEAL_BYTES, sum);
    seal_text(want, CHECKPOINT_VERSION, sum);
    return memcmp(seal, want, SEAL_BYTES) == 0 ? status_ok() : damaged("its contents do not match its checksum");
}

Status checkpoint_parse(const void *bytes, size_t count, Checkpoint *out)
{
    Status status = status_ok();
    memset(out, 0, sizeof *out);
    TRY(check_seal(bytes, count));
    count -= SEAL_BYTES;
    silence();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    if (H5Pset_fapl_core(access, IMAGE_GROWTH, false) >= 0 &&
        H5Pset_file_image(access, (void *)(uintptr_t)bytes, count) >= 0)
        file = H5Fopen("checkpoint", H5F_ACC_RDONLY, access);
    if (file < 0) TRY_OUT(damaged("no HDF5 file"));
    TRY_OUT(get_all(file, count, out));
out:
    if (file >= 0) H5Fclose(file);
    H5Pclose(access);
    if (failed(status)) checkpoint_clear(out);
    return status;
}

/* The first field that differs is the reason; the key stands last because it covers all of them. */
static Status check_owner(const CheckpointOwner *got, const CheckpointOwner *want)
{
    if (strcmp(got->model, want->model) != 0)
        return status_fail(ERR_INPUT, "checkpoint of another model (%.12s, expected %.12s)", got->model, want->model);
    if (strcmp(got->dtype, want->dtype) != 0)
        return status_fail(ERR_INPUT, "checkpoint computed in %s, expected %s", got->dtype, want->dtype);
    if (strcmp(got->prompt_sha256, want->prompt_sha256) != 0)
        return status_fail(ERR_INPUT, "checkpoint of another prompt");
    if (got->seed != want->seed)
        return status_fail(ERR_INPUT, "checkpoint of seed %llu, expected %llu", (unsigned long long)got->seed,
                           (unsigned long long)want->seed);
    if (got->width != want->width || got->height != want->height || got->frames != want->frames)
        return status_fail(ERR_INPUT, "checkpoint of %dx%d, %d frames; expected %dx%d, %d frames", got->width,
                           got->height, got->frames, want->width, want->height, want->frames);
    if (got->steps != want->steps)
        return status_fail(ERR_INPUT, "checkpoint of a shot of %d steps, expected one of %d", got->steps, want->steps);
    if (strcmp(got->shot, want->shot) != 0)
        return status_fail(ERR_INPUT, "checkpoint of another shot (%.12s, expected %.12s)", got->shot, want->shot);
    return status_ok();
}

Status checkpoint_read(const char *path, const CheckpointOwner *expected, Checkpoint *out)
{
    char *bytes = NULL;
    size_t count = 0;
    memset(out, 0, sizeof *out);
    TRY(file_read(path, file_max_bytes, &bytes, &count));
    Status status = checkpoint_parse(bytes, count, out);
    free(bytes);
    if (!failed(status) && expected) status = check_owner(&out->owner, expected);
    if (failed(status)) checkpoint_clear(out);
    return status_at(status, "%s", path);
}
