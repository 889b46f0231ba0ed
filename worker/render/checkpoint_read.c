/* checkpoint_read.c - a checkpoint's file, which may be damaged, of another shot, or somebody's trap. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "worker/render/checkpoint_parts.h"

enum { DIM_MAX = 1 << 20 };
static const size_t file_max_bytes = (size_t)4 << 30;

static int64_t element_count(const int64_t dim[4]) { return dim[0] * dim[1] * dim[2] * dim[3]; }

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
    hid_t mine = checkpoint_text_type();
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
    TRY_OUT(get_rows(group, checkpoint_solver, SOLVER_ROWS, c));
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
    } word[] = {{"shot", o->shot},
                {"model", o->model},
                {"prompt_sha256", o->prompt_sha256},
                {"dtype", o->dtype},
                {"kind", o->kind}};
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
        strcmp(text, checkpoint_format) != 0)
        return status_fail(ERR_INPUT, "not a checkpoint: expected attribute format = \"%s\"", checkpoint_format);
    TRY(get_number(file, "version", H5T_NATIVE_INT, &version));
    if (version != CHECKPOINT_VERSION)
        return status_fail(ERR_INPUT, "checkpoint of version %d, expected %d", version, CHECKPOINT_VERSION);
    TRY(get_rows(file, checkpoint_root, ROOT_ROWS, c));
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
    size_t name = 1 + strlen(checkpoint_format);
    const char *seal = count < SEAL_BYTES ? NULL : bytes + count - SEAL_BYTES;
    checkpoint_seal(want, CHECKPOINT_VERSION, "");
    if (!seal || memcmp(seal, want, name) != 0)
        return status_fail(ERR_INPUT, "not a checkpoint, or one cut short: expected a seal at its end");
    memcpy(want, seal, SEAL_BYTES);
    want[SEAL_BYTES] = 0;
    if (sscanf(want + name, "%d", &version) != 1 || version != CHECKPOINT_VERSION)
        return status_fail(ERR_INPUT, "checkpoint of version %d, expected %d", version, CHECKPOINT_VERSION);
    hash_bytes(bytes, count - SEAL_BYTES, sum);
    checkpoint_seal(want, CHECKPOINT_VERSION, sum);
    return memcmp(seal, want, SEAL_BYTES) == 0 ? status_ok() : damaged("its contents do not match its checksum");
}

Status checkpoint_parse(const void *bytes, size_t count, Checkpoint *out)
{
    Status status = status_ok();
    memset(out, 0, sizeof *out);
    TRY(check_seal(bytes, count));
    count -= SEAL_BYTES;
    checkpoint_silence();
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
