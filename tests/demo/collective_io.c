/* What collective MPI-IO, and parallel HDF5 above it, do on a full disk: each rank writes its rows of one
 * file and tells every return value. Beside dcomp in `tests/collective.rs`.
 *
 *   collective_io FILE BYTES_PER_RANK         MPI_File_write_at_all
 *   collective_io FILE.h5 BYTES_PER_RANK h5   the same by parallel HDF5, if compiled with -DWITH_HDF5
 *
 * Exits with 0 when every call on every rank said that all is well. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_HDF5
#include <hdf5.h>

/* How many calls failed. */
static int by_hdf5(const char *path, const char *bytes, hsize_t count, int rank, int size) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), transfer = H5Pcreate(H5P_DATASET_XFER);
    H5Pset_fapl_mpio(access, MPI_COMM_WORLD, MPI_INFO_NULL);
    H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hsize_t all = count * (hsize_t)size, first = count * (hsize_t)rank;
    hid_t space = H5Screate_simple(1, &all, NULL), mine = H5Screate_simple(1, &count, NULL);
    hid_t set = H5Dcreate2(file, "N", H5T_NATIVE_UCHAR, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &count, NULL);
    herr_t wrote = H5Dwrite(set, H5T_NATIVE_UCHAR, mine, space, transfer, bytes);
    herr_t flushed = H5Fflush(file, H5F_SCOPE_GLOBAL);
    herr_t closed_set = H5Dclose(set), closed = H5Fclose(file);
    printf("rank %d: H5Fcreate %s, H5Dcreate %s, H5Dwrite %d, H5Fflush %d, H5Dclose %d, H5Fclose %d\n", rank,
           file < 0 ? "failed" : "ok", set < 0 ? "failed" : "ok", wrote, flushed, closed_set, closed);
    return (file < 0) + (set < 0) + (wrote < 0) + (flushed < 0) + (closed_set < 0) + (closed < 0);
}
#endif

static int by_mpi_io(const char *path, const char *bytes, int count, int rank) {
    MPI_File file;
    MPI_Status status;
    int moved = -1;
    int opened = MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_WRONLY, MPI_INFO_NULL, &file);
    if (opened != MPI_SUCCESS) {
        printf("rank %d: MPI_File_open failed\n", rank);
        return 1;
    }
    int wrote = MPI_File_write_at_all(file, (MPI_Offset)rank * count, bytes, count, MPI_BYTE, &status);
    MPI_Get_count(&status, MPI_BYTE, &moved);
    int synced = MPI_File_sync(file), closed = MPI_File_close(&file);
    printf("rank %d: MPI_File_write_at_all %s and %d of %d bytes, MPI_File_sync %s, MPI_File_close %s\n", rank,
           wrote ? "failed" : "ok", moved, count, synced ? "failed" : "ok", closed ? "failed" : "ok");
    return (wrote != MPI_SUCCESS) + (synced != MPI_SUCCESS) + (closed != MPI_SUCCESS);
}

int main(int argc, char **argv) {
    int rank, size, failed, failures = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    int count = argc > 2 ? atoi(argv[2]) : 0;
    char *bytes = malloc((size_t)count + 1);
    memset(bytes, 'a' + rank, (size_t)count); /* nothing is zero: zeros in the file are losses */
#ifdef WITH_HDF5
    if (argc > 3)
        failed = by_hdf5(argv[1], bytes, (hsize_t)count, rank, size);
    else
#endif
        failed = by_mpi_io(argv[1], bytes, count, rank);
    MPI_Allreduce(&failed, &failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    free(bytes);
    MPI_Finalize();
    return failures > 0;
}
