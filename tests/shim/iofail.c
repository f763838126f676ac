/* Makes one I/O call of a process fail, for tests: a library to be preloaded.
 *
 * It stands before the C library's calls that open, read, write, sync, reserve, rename, look at or close
 * files, counts those that concern files below one directory, and lets one of them fail as a full, broken
 * or busy disk would. Rust's standard library and HDF5 both go through these functions. What it does not
 * see: io_uring and other bare system calls, and what the C library calls within itself (stdio, realpath).
 *
 *   IOFAIL_DIR   the directory, as the kernel names it; without it nothing is done or counted
 *   IOFAIL_LOG   a file to which each call is appended: rank, number, kind, path, and what was done to it
 *   IOFAIL_AT    the number of the call that fails, from 1; each process counts for itself
 *   IOFAIL_HOW   an errno by name, or SHORT: half of the bytes are moved, and the next call goes on
 *   IOFAIL_RANK  the only rank that counts; without it all do
 *
 * close and closedir fail as they do on Linux: the descriptor is gone all the same. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GO = 0, SHORT = -1 }; /* else the errno to fail with */

static const char *directory;
static long at;
static int how, rank;
static int log_file = -1;
static long count;

static const struct {
    const char *name;
    int number;
} WAYS[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},     {"EDQUOT", EDQUOT},
            {"EINTR", EINTR},   {"SHORT", SHORT}, {"EROFS", EROFS}};

__attribute__((constructor)) static void begin(void) {
    const char *ranks[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        if (getenv(ranks[i])) {
            rank = atoi(getenv(ranks[i]));
            break;
        }
    }
    const char *only = getenv("IOFAIL_RANK"), *log = getenv("IOFAIL_LOG");
    const char *number = getenv("IOFAIL_AT"), *way = getenv("IOFAIL_HOW");
    if (!getenv("IOFAIL_DIR") || (only && atoi(only) != rank))
        return;
    directory = getenv("IOFAIL_DIR");
    at = number ? atol(number) : 0;
    for (size_t i = 0; way && i < sizeof WAYS / sizeof *WAYS; i++)
        if (strcmp(way, WAYS[i].name) == 0)
            how = WAYS[i].number;
    if (log)
        log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Whether `path`, as seen from descriptor `from`, lies below the directory. No path: the descriptor. */
static int concerns(int from, const char *path, char full[PATH_MAX]) {
    size_t length = 0, limit = strlen(directory);
    if (!path || path[0] != '/') {
        char link[40];
        snprintf(link, sizeof link, from == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", from);
        ssize_t got = readlink(link, full, PATH_MAX / 2);
        if (got < 0)
            return 0;
        length = (size_t)got;
    }
    if (path && path[0])
        snprintf(full + length, PATH_MAX - length, "%s%s", length ? "/" : "", path);
    else
        full[length] = 0;
    return strncmp(full, directory, limit) == 0 && (full[limit] == '/' || full[limit] == 0);
}

/* Counts a call and says what becomes of it. `moves`: it can be short. errno stays as it was. */
static int fate(const char *kind, int from, const char *path, int moves) {
    char full[PATH_MAX], line[PATH_MAX + 120];
    if (!directory)
        return GO;
    int before = errno, result = GO;
    if (concerns(from, path, full)) {
        long mine = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
        if (mine == at && (how != SHORT || moves))
            result = how;
        if (log_file >= 0) {
            const char *told = result == GO ? "" : " <- ";
            const char *way = result == GO ? "" : getenv("IOFAIL_HOW");
            int length = snprintf(line, sizeof line, "%d %ld %s %s%s%s\n", rank, mine, kind, full, told, way);
            syscall(SYS_write, log_file, line, (size_t)length);
        }
    }
    errno = before;
    return result;
}

#define FAIL(number, value) return errno = (number), (value)
/* The function behind this one, and its fate: either it fails here, or it is called. */
#define REAL(name)                                  \
    static __typeof__(name) *real;                  \
    if (!real)                                      \
        *(void **)&real = dlsym(RTLD_NEXT, #name)
#define PASS(name, from, path, value)               \
    REAL(name);                                     \
    int fault = fate(#name, from, path, 0);         \
    if (fault != GO)                                \
        FAIL(fault, value)

static mode_t mode_of(int flags, va_list more) {
    int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return makes ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                             \
    int name(const char *path, int flags, ...) {               \
        va_list more;                                          \
        va_start(more, flags);                                 \
        mode_t mode = mode_of(flags, more);                    \
        va_end(more);                                          \
        PASS(name, AT_FDCWD, path, -1);                        \
        return real(path, flags, mode);                        \
    }
#define OPENAT(name)                                           \
    int name(int from, const char *path, int flags, ...) {     \
        va_list more;                                          \
        va_start(more, flags);                                 \
        mode_t mode = mode_of(flags, more);                    \
        va_end(more);                                          \
        PASS(name, from, path, -1);                            \
        return real(from, path, flags, mode);                  \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

/* One descriptor or one path, and what else the call takes. */
#define ON_FD(name, parameters, arguments)                     \
    int name parameters {                                      \
        PASS(name, fd, NULL, -1);                              \
        return real arguments;                                 \
    }
#define ON_PATH(name, from, parameters, arguments)             \
    int name parameters {                                      \
        PASS(name, from, path, -1);                            \
        return real arguments;                                 \
    }
ON_FD(fsync, (int fd), (fd))
ON_FD(fdatasync, (int fd), (fd))
ON_FD(syncfs, (int fd), (fd))
ON_FD(sync_file_range, (int fd, off64_t from, off64_t bytes, unsigned flags), (fd, from, bytes, flags))
ON_FD(fallocate, (int fd, int mode, off_t from, off_t bytes), (fd, mode, from, bytes))
ON_FD(fallocate64, (int fd, int mode, off64_t from, off64_t bytes), (fd, mode, from, bytes))
ON_FD(ftruncate, (int fd, off_t bytes), (fd, bytes))
ON_FD(ftruncate64, (int fd, off64_t bytes), (fd, bytes))
ON_FD(fchmod, (int fd, mode_t mode), (fd, mode))
ON_FD(flock, (int fd, int operation), (fd, operation))
ON_FD(fstat, (int fd, struct stat *to), (fd, to))
ON_FD(fstat64, (int fd, struct stat64 *to), (fd, to))
ON_FD(fstatvfs, (int fd, struct statvfs *to), (fd, to))
ON_FD(fstatvfs64, (int fd, struct statvfs64 *to), (fd, to))
ON_PATH(stat, AT_FDCWD, (const char *path, struct stat *to), (path, to))
ON_PATH(stat64, AT_FDCWD, (const char *path, struct stat64 *to), (path, to))
ON_PATH(lstat, AT_FDCWD, (const char *path, struct stat *to), (path, to))
ON_PATH(lstat64, AT_FDCWD, (const char *path, struct stat64 *to), (path, to))
ON_PATH(fstatat, from, (int from, const char *path, struct stat *to, int flags), (from, path, to, flags))
ON_PATH(fstatat64, from, (int from, const char *path, struct stat64 *to, int flags), (from, path, to, flags))
ON_PATH(statx, from, (int from, const char *path, int flags, unsigned mask, struct statx *to),
        (from, path, flags, mask, to))
ON_PATH(statvfs, AT_FDCWD, (const char *path, struct statvfs *to), (path, to))
ON_PATH(statvfs64, AT_FDCWD, (const char *path, struct statvfs64 *to), (path, to))
ON_PATH(access, AT_FDCWD, (const char *path, int mode), (path, mode))
ON_PATH(faccessat, from, (int from, const char *path, int mode, int flags), (from, path, mode, flags))
ON_PATH(chmod, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdir, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdirat, from, (int from, const char *path, mode_t mode), (from, path, mode))
ON_PATH(rmdir, AT_FDCWD, (const char *path), (path))
ON_PATH(unlink, AT_FDCWD, (const char *path), (path))
ON_PATH(unlinkat, from, (int from, const char *path, int flags), (from, path, flags))
ON_PATH(rename, AT_FDCWD, (const char *path, const char *to), (path, to))
ON_PATH(renameat, from, (int from, const char *path, int there, const char *to), (from, path, there, to))
ON_PATH(renameat2, from, (int from, const char *path, int there, const char *to, unsigned flags),
        (from, path, there, to, flags))
ON_PATH(link, AT_FDCWD, (const char *path, const char *to), (path, to))
ON_PATH(linkat, from, (int from, const char *path, int there, const char *to, int flags),
        (from, path, there, to, flags))

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* These return the error instead of setting errno. */
#define ALLOCATE(name, type)                                   \
    int name(int fd, type from, type bytes) {                  \
        REAL(name);                                            \
        int fault = fate(#name, fd, NULL, 0);                  \
        return fault != GO ? fault : real(fd, from, bytes);    \
    }
ALLOCATE(posix_fallocate, off_t) ALLOCATE(posix_fallocate64, off64_t)

off_t lseek(int fd, off_t to, int whence) {
    PASS(lseek, fd, NULL, -1);
    return real(fd, to, whence);
}
off64_t lseek64(int fd, off64_t to, int whence) {
    PASS(lseek64, fd, NULL, -1);
    return real(fd, to, whence);
}

/* What moves bytes: half of them and at least one where it is to be short. */
#define MOVE(name, parameters, arguments)                      \
    ssize_t name parameters {                                  \
        REAL(name);                                            \
        int fault = fate(#name, fd, NULL, bytes > 1);          \
        if (fault == SHORT)                                    \
            bytes /= 2;                                        \
        else if (fault != GO)                                  \
            FAIL(fault, -1);                                   \
        return real arguments;                                 \
    }
MOVE(read, (int fd, void *to, size_t bytes), (fd, to, bytes))
MOVE(pread, (int fd, void *to, size_t bytes, off_t from), (fd, to, bytes, from))
MOVE(pread64, (int fd, void *to, size_t bytes, off64_t from), (fd, to, bytes, from))
MOVE(write, (int fd, const void *from, size_t bytes), (fd, from, bytes))
MOVE(pwrite, (int fd, const void *from, size_t bytes, off_t to), (fd, from, bytes, to))
MOVE(pwrite64, (int fd, const void *from, size_t bytes, off64_t to), (fd, from, bytes, to))

/* Of several buffers a short call moves half of the first alone. */
#define MOVE_SEVERAL(name, parameters, arguments)                               \
    ssize_t name parameters {                                                   \
        REAL(name);                                                             \
        int fault = fate(#name, fd, NULL, pieces > 0 && piece->iov_len > 1);    \
        struct iovec half = {NULL, 0};                                          \
        if (fault == SHORT) {                                                   \
            half = (struct iovec){piece->iov_base, piece->iov_len / 2};         \
            piece = &half, pieces = 1;                                          \
        } else if (fault != GO)                                                 \
            FAIL(fault, -1);                                                    \
        return real arguments;                                                  \
    }
MOVE_SEVERAL(readv, (int fd, const struct iovec *piece, int pieces), (fd, piece, pieces))
MOVE_SEVERAL(writev, (int fd, const struct iovec *piece, int pieces), (fd, piece, pieces))
MOVE_SEVERAL(preadv64, (int fd, const struct iovec *piece, int pieces, off64_t from),
             (fd, piece, pieces, from))
MOVE_SEVERAL(pwritev64, (int fd, const struct iovec *piece, int pieces, off64_t to),
             (fd, piece, pieces, to))

int close(int fd) {
    REAL(close);
    int fault = fate("close", fd, NULL, 0), closed = real(fd);
    if (fault != GO)
        FAIL(fault, -1);
    return closed;
}

DIR *opendir(const char *path) {
    PASS(opendir, AT_FDCWD, path, NULL);
    return real(path);
}
DIR *fdopendir(int fd) {
    PASS(fdopendir, fd, NULL, NULL);
    return real(fd);
}
struct dirent *readdir(DIR *from) {
    PASS(readdir, dirfd(from), NULL, NULL);
    return real(from);
}
struct dirent64 *readdir64(DIR *from) {
    PASS(readdir64, dirfd(from), NULL, NULL);
    return real(from);
}
int closedir(DIR *from) {
    REAL(closedir);
    int fault = fate("closedir", dirfd(from), NULL, 0), closed = real(from);
    if (fault != GO)
        FAIL(fault, -1);
    return closed;
}
