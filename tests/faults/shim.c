/* System calls below one folder, counted; the n-th one fails, is cut short, or is the last.
 *
 * Loaded with LD_PRELOAD and asleep until faults_arm() is called, in a process of its own.
 * Every wrapper asks decide() what shall happen to its call and otherwise does as libc does.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Kinds of calls; tests/faults/shim.py has the same numbers. */
enum {
    WRITE = 1, FSYNC = 2, TRUNCATE = 4, RENAME = 8, UNLINK = 16, MKDIR = 32, CREATE = 64, OPEN = 128,
    LINK = 256, READ = 512, CHMOD = 1024, CLOSE = 2048, LIST = 4096, LOCK = 8192,
    STAT = 16384
};

/* What happens to the chosen call. */
enum { NOTHING, FAIL, CUT, KILL_BEFORE, KILL_AFTER, KILL_HALFWAY };

static struct {
    char folder[PATH_MAX];
    size_t length;
    unsigned mask;
    long at;
    int action, error, persistent;
} plan;
static volatile int armed;
static long seen, met, of_kind[32];
static char first[2 * PATH_MAX + 64];

void faults_disarm(void) { __atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST); }
long faults_seen(void) { return __atomic_load_n(&seen, __ATOMIC_SEQ_CST); }
long faults_met(void) { return __atomic_load_n(&met, __ATOMIC_SEQ_CST); }
long faults_of_kind(unsigned kind) { return __atomic_load_n(&of_kind[__builtin_ctz(kind)], __ATOMIC_SEQ_CST); }
const char *faults_first(void) { return first; }

int faults_arm(const char *folder, unsigned mask, long at, int action, int error, int persistent)
{
    faults_disarm();
    plan.length = strlen(folder);
    if (plan.length >= sizeof plan.folder)
        return -1;
    strcpy(plan.folder, folder);
    plan.mask = mask;
    plan.at = at;
    plan.action = action;
    plan.error = error;
    plan.persistent = persistent;
    seen = met = 0;
    memset(of_kind, 0, sizeof of_kind);
    first[0] = 0;
    __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int below(const char *path)
{
    return !strncmp(path, plan.folder, plan.length) && (path[plan.length] == '/' || !path[plan.length]);
}

static int path_of(int descriptor, char *found, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long got = syscall(SYS_readlinkat, AT_FDCWD, link, found, size - 1);
    if (got < 0)
        return -1;
    found[got] = 0;
    return 0;
}

/* What a call on `path`, relative to `directory`, shall come to. */
static int judge(unsigned kind, const char *name, const char *path, int directory)
{
    if (!armed || !(plan.mask & kind) || !path)
        return NOTHING;
    char full[2 * PATH_MAX];
    if (*path != '/') {
        if (directory == AT_FDCWD ? !getcwd(full, PATH_MAX) : path_of(directory, full, PATH_MAX))
            return NOTHING;
        size_t used = strlen(full);
        snprintf(full + used, sizeof full - used, "/%s", path);
        path = full;
    }
    if (!below(path))
        return NOTHING;
    __atomic_fetch_add(&of_kind[__builtin_ctz(kind)], 1, __ATOMIC_SEQ_CST);
    long number = __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
    if (number != plan.at && !(plan.persistent && plan.at >= 0 && number > plan.at))
        return NOTHING;
    if (!__atomic_fetch_add(&met, 1, __ATOMIC_SEQ_CST))
        snprintf(first, sizeof first, "%s %s", name, path);
    if (plan.action == KILL_BEFORE)
        die();
    if (plan.action == FAIL)
        errno = plan.error;
    return plan.action;
}

static int judge_open_file(unsigned kind, const char *name, int descriptor)
{
    char path[PATH_MAX];
    int kept = errno;
    if (!armed || !(plan.mask & kind) || path_of(descriptor, path, sizeof path)) {
        errno = kept;
        return NOTHING;
    }
    errno = kept;
    return judge(kind, name, path, AT_FDCWD);
}

#define REAL(type, name) \
    static type (*real)(); \
    if (!real) \
        real = (type(*)())dlsym(RTLD_NEXT, name)

/* Do the call; die behind it if it was to be the last one. */
#define THEN(type, call) \
    do { \
        type result = call; \
        if (action == KILL_AFTER || action == KILL_HALFWAY) \
            die(); \
        return result; \
    } while (0)

#define HALF(count) ((action == CUT || action == KILL_HALFWAY) && (count) > 1 ? (count) / 2 : (count))

/* --- bytes ----------------------------------------------------------------------- */

#define ONE_BUFFER(name, kind, pointer) \
    ssize_t name(int fd, pointer data, size_t count) \
    { \
        REAL(ssize_t, #name); \
        int action = judge_open_file(kind, #name, fd); \
        if (action == FAIL) \
            return -1; \
        THEN(ssize_t, real(fd, data, HALF(count))); \
    }
ONE_BUFFER(write, WRITE, const void *)
ONE_BUFFER(read, READ, void *)

#define ONE_BUFFER_AT(name, kind, pointer) \
    ssize_t name(int fd, pointer data, size_t count, off64_t offset) \
    { \
        REAL(ssize_t, #name); \
        int action = judge_open_file(kind, #name, fd); \
        if (action == FAIL) \
            return -1; \
        THEN(ssize_t, real(fd, data, HALF(count), offset)); \
    }
ONE_BUFFER_AT(pwrite, WRITE, const void *)
ONE_BUFFER_AT(pwrite64, WRITE, const void *)
ONE_BUFFER_AT(pread, READ, void *)
ONE_BUFFER_AT(pread64, READ, void *)

/* Of several buffers, the first one only, halved: as short as a system may answer. */
#define BUFFERS(name, kind, parameters, shortened, arguments) \
    ssize_t name parameters \
    { \
        REAL(ssize_t, #name); \
        int action = judge_open_file(kind, #name, fd); \
        if (action == FAIL) \
            return -1; \
        if ((action == CUT || action == KILL_HALFWAY) && count > 0) { \
            struct iovec half = {data[0].iov_base, HALF(data[0].iov_len)}; \
            THEN(ssize_t, real shortened); \
        } \
        THEN(ssize_t, real arguments); \
    }
#define PLAIN (int fd, const struct iovec *data, int count), (fd, &half, 1), (fd, data, count)
#define AT \
    (int fd, const struct iovec *data, int count, off64_t offset), (fd, &half, 1, offset), \
        (fd, data, count, offset)
#define AT_FLAGS \
    (int fd, const struct iovec *data, int count, off64_t offset, int flags), \
        (fd, &half, 1, offset, flags), (fd, data, count, offset, flags)
#define EACH(name, kind, ...) BUFFERS(name, kind, __VA_ARGS__)
EACH(writev, WRITE, PLAIN)
EACH(readv, READ, PLAIN)
EACH(pwritev, WRITE, AT)
EACH(pwritev64, WRITE, AT)
EACH(preadv, READ, AT)
EACH(preadv64, READ, AT)
EACH(pwritev2, WRITE, AT_FLAGS)
EACH(pwritev64v2, WRITE, AT_FLAGS)
EACH(preadv2, READ, AT_FLAGS)
EACH(preadv64v2, READ, AT_FLAGS)

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    REAL(ssize_t, "sendfile");
    int action = judge_open_file(WRITE, "sendfile", out);
    if (action == FAIL)
        return -1;
    THEN(ssize_t, real(out, in, offset, HALF(count)));
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
    REAL(ssize_t, "sendfile64");
    int action = judge_open_file(WRITE, "sendfile64", out);
    if (action == FAIL)
        return -1;
    THEN(ssize_t, real(out, in, offset, HALF(count)));
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags)
{
    REAL(ssize_t, "copy_file_range");
    int action = judge_open_file(WRITE, "copy_file_range", out);
    if (action == FAIL)
        return -1;
    THEN(ssize_t, real(in, from, out, to, HALF(count), flags));
}

/* --- open files ------------------------------------------------------------------ */

#define OF_FILE(name, kind, parameters, arguments) \
    int name parameters \
    { \
        REAL(int, #name); \
        int action = judge_open_file(kind, #name, fd); \
        if (action == FAIL) \
            return -1; \
        THEN(int, real arguments); \
    }
OF_FILE(fsync, FSYNC, (int fd), (fd))
OF_FILE(fdatasync, FSYNC, (int fd), (fd))
OF_FILE(ftruncate, TRUNCATE, (int fd, off_t size), (fd, size))
OF_FILE(ftruncate64, TRUNCATE, (int fd, off64_t size), (fd, size))
OF_FILE(fallocate, TRUNCATE, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
OF_FILE(fallocate64, TRUNCATE, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size))
OF_FILE(fchmod, CHMOD, (int fd, mode_t mode), (fd, mode))
OF_FILE(fchown, CHMOD, (int fd, uid_t user, gid_t group), (fd, user, group))
OF_FILE(flock, LOCK, (int fd, int how), (fd, how))
OF_FILE(fstat, STAT, (int fd, struct stat *found), (fd, found))
OF_FILE(fstat64, STAT, (int fd, struct stat64 *found), (fd, found))

/* These two return the error instead of setting errno. */
#define ALLOCATE(name, offset) \
    int name(int fd, offset at, offset size) \
    { \
        REAL(int, #name); \
        int action = judge_open_file(TRUNCATE, #name, fd); \
        if (action == FAIL) \
            return plan.error; \
        THEN(int, real(fd, at, size)); \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

/* A close that fails has closed the file all the same. Files opened for reading have nothing to lose. */
int close(int fd)
{
    REAL(int, "close");
    int action = NOTHING, kept = errno;
    if (armed && (plan.mask & CLOSE) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
        action = judge_open_file(CLOSE, "close", fd);
    if (action == FAIL) {
        real(fd);
        errno = plan.error;
        return -1;
    }
    errno = kept;
    THEN(int, real(fd));
}

/* --- names ----------------------------------------------------------------------- */

#define OF_PATH(name, kind, parameters, directory, path, arguments) \
    int name parameters \
    { \
        REAL(int, #name); \
        int action = judge(kind, #name, path, directory); \
        if (action == FAIL) \
            return -1; \
        THEN(int, real arguments); \
    }
OF_PATH(unlink, UNLINK, (const char *path), AT_FDCWD, path, (path))
OF_PATH(unlinkat, UNLINK, (int at, const char *path, int flags), at, path, (at, path, flags))
OF_PATH(rmdir, UNLINK, (const char *path), AT_FDCWD, path, (path))
OF_PATH(remove, UNLINK, (const char *path), AT_FDCWD, path, (path))
OF_PATH(mkdir, MKDIR, (const char *path, mode_t mode), AT_FDCWD, path, (path, mode))
OF_PATH(mkdirat, MKDIR, (int at, const char *path, mode_t mode), at, path, (at, path, mode))
OF_PATH(truncate, TRUNCATE, (const char *path, off_t size), AT_FDCWD, path, (path, size))
OF_PATH(truncate64, TRUNCATE, (const char *path, off64_t size), AT_FDCWD, path, (path, size))
OF_PATH(chmod, CHMOD, (const char *path, mode_t mode), AT_FDCWD, path, (path, mode))
OF_PATH(fchmodat, CHMOD, (int at, const char *path, mode_t mode, int flags), at, path, (at, path, mode, flags))
OF_PATH(chown, CHMOD, (const char *path, uid_t user, gid_t group), AT_FDCWD, path, (path, user, group))
OF_PATH(rename, RENAME, (const char *old, const char *path), AT_FDCWD, path, (old, path))
OF_PATH(renameat, RENAME, (int from, const char *old, int at, const char *path), at, path, (from, old, at, path))
OF_PATH(renameat2, RENAME, (int from, const char *old, int at, const char *path, unsigned flags), at, path,
        (from, old, at, path, flags))
OF_PATH(link, LINK, (const char *old, const char *path), AT_FDCWD, path, (old, path))
OF_PATH(linkat, LINK, (int from, const char *old, int at, const char *path, int flags), at, path,
        (from, old, at, path, flags))
OF_PATH(symlink, LINK, (const char *old, const char *path), AT_FDCWD, path, (old, path))
OF_PATH(symlinkat, LINK, (const char *old, int at, const char *path), at, path, (old, at, path))

OF_PATH(stat, STAT, (const char *path, struct stat *found), AT_FDCWD, path, (path, found))
OF_PATH(stat64, STAT, (const char *path, struct stat64 *found), AT_FDCWD, path, (path, found))
OF_PATH(lstat, STAT, (const char *path, struct stat *found), AT_FDCWD, path, (path, found))
OF_PATH(lstat64, STAT, (const char *path, struct stat64 *found), AT_FDCWD, path, (path, found))
OF_PATH(fstatat, STAT, (int at, const char *path, struct stat *found, int flags), at, path,
        (at, path, found, flags))
OF_PATH(fstatat64, STAT, (int at, const char *path, struct stat64 *found, int flags), at, path,
        (at, path, found, flags))

static unsigned how_opened(int flags)
{
    return flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE ? CREATE : OPEN;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(int, #name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int action = judge(how_opened(flags), #name, path, AT_FDCWD); \
        if (action == FAIL) \
            return -1; \
        THEN(int, real(path, flags, mode)); \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) \
    int name(int at, const char *path, int flags, ...) \
    { \
        REAL(int, #name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        int action = judge(how_opened(flags), #name, path, at); \
        if (action == FAIL) \
            return -1; \
        THEN(int, real(at, path, flags, mode)); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)
OF_PATH(creat, CREATE, (const char *path, mode_t mode), AT_FDCWD, path, (path, mode))
OF_PATH(creat64, CREATE, (const char *path, mode_t mode), AT_FDCWD, path, (path, mode))

#define STREAMS(name) \
    FILE *name(const char *path, const char *mode) \
    { \
        REAL(FILE *, #name); \
        int action = judge(*mode == 'r' ? OPEN : CREATE, #name, path, AT_FDCWD); \
        if (action == FAIL) \
            return NULL; \
        THEN(FILE *, real(path, mode)); \
    }
STREAMS(fopen)
STREAMS(fopen64)

/* DIR * */
void *opendir(const char *path)
{
    REAL(void *, "opendir");
    int action = judge(LIST, "opendir", path, AT_FDCWD);
    if (action == FAIL)
        return NULL;
    THEN(void *, real(path));
}
