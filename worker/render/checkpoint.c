#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "worker/render/checkpoint_parts.h"

const char checkpoint_format[] = "reelwright-latents";

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

void checkpoint_clear(Checkpoint *c)
{
    free(c->state.latents);
    for (int i = 0; i < SOLVER_MAX; i++) free(c->state.solver[i]);
    for (int i = 0; i < STATE_MOST_TENSORS; i++) free(c->state.more[i].data);
    memset(c, 0, sizeof *c);
}

/* ---- what the file says ------------------------------------------------------------------------------------------- */

#define ROW(name, kind, field)                                                                                         \
    {                                                                                                                  \
        name, kind, offsetof(Checkpoint, field), sizeof(((Checkpoint *)0)->field)                                      \
    }
const Row checkpoint_root[ROOT_ROWS] = {
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
const Row checkpoint_solver[SOLVER_ROWS] = {
    ROW("count", ROW_INT, state.solver_count),
    ROW("lower_order_nums", ROW_INT, state.lower_order_nums),
};

hid_t checkpoint_text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1); /* variable length, UTF-8: what h5py reads as str */
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

void checkpoint_silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

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
    hid_t type = checkpoint_text_type();
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
    bool good = group >= 0 && put_rows(group, checkpoint_solver, SOLVER_ROWS, c);
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
    return put_text(file, "format", checkpoint_format) && put_attribute(file, "version", H5T_NATIVE_INT, &version) &&
           put_rows(file, checkpoint_root, ROOT_ROWS, c) && put_tensor(file, "latents", c->dim, c->state.latents) &&
           put_solver(file, c) && put_more(file, c) && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
}

void checkpoint_seal(char seal[SEAL_BYTES + 1], int version, const char *sum)
{
    snprintf(seal, SEAL_BYTES + 1, "\n%s %04d sha256 %s\n", checkpoint_format, version, sum);
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
    checkpoint_seal(image + size, CHECKPOINT_VERSION, sum);
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
    checkpoint_silence();
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
