//! Where pixels lie in the plane: a lattice for the picture, a window for the part to compute.
//!
//! A coordinate is always `index * step + origin`, two rounded operations, computed afresh for
//! each pixel: adding `step` again and again would be cheaper and would drift, and a pixel's value
//! would then depend on the window it was computed in.

/// The mapping from pixel coordinates to the complex plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lattice {
    /// Real part of column 0.
    pub re0: f64,
    /// Distance of neighbouring columns.
    pub re_step: f64,
    /// Imaginary part of row 0.
    pub im0: f64,
    /// Distance of neighbouring rows.
    pub im_step: f64,
}

impl Lattice {
    /// Real part of column `x`.
    #[inline]
    pub fn re(&self, x: u32) -> f64 {
        f64::from(x) * self.re_step + self.re0
    }

    /// Imaginary part of row `y`.
    #[inline]
    pub fn im(&self, y: u32) -> f64 {
        f64::from(y) * self.im_step + self.im0
    }
}

/// `columns` by `rows` pixels of a picture, every `stride_x`-th and `stride_y`-th, from `(x0, y0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub x0: u32,
    /// First row.
    pub y0: u32,
    /// Number of pixels in a row.
    pub columns: u32,
    /// Number of rows.
    pub rows: u32,
    /// Distance in picture columns of neighbours in a row.
    pub stride_x: u32,
    /// Distance in picture rows of neighbouring rows.
    pub stride_y: u32,
}

impl Window {
    /// The first `columns` by `rows` pixels, all of them.
    pub fn whole(columns: u32, rows: u32) -> Self {
        Self { x0: 0, y0: 0, columns, rows, stride_x: 1, stride_y: 1 }
    }

    /// Number of pixels.
    pub fn len(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.columns == 0 || self.rows == 0
    }

    /// The points of the window in row-major order.
    ///
    /// # Panics
    /// When the last column or row has a picture coordinate above `u32::MAX`.
    pub fn points(&self, lattice: Lattice) -> Points {
        let fits = |first: u32, count: u32, stride: u32| {
            let last = u64::from(first) + u64::from(count.saturating_sub(1)) * u64::from(stride);
            u32::try_from(last).is_ok()
        };
        assert!(fits(self.x0, self.columns, self.stride_x), "columns beyond 2^32: {self:?}");
        assert!(fits(self.y0, self.rows, self.stride_y), "rows beyond 2^32: {self:?}");
        let left = if self.columns == 0 { 0 } else { self.rows };
        Points {
            window: *self,
            lattice,
            column: 0,
            row: 0,
            rows_left: left,
            im: lattice.im(self.y0),
        }
    }
}

/// Iterator over the points of a [`Window`], row by row.
#[derive(Clone, Debug)]
pub struct Points {
    window: Window,
    lattice: Lattice,
    column: u32,
    row: u32,
    rows_left: u32,
    im: f64,
}

impl Iterator for Points {
    type Item = (f64, f64);

    #[inline]
    fn next(&mut self) -> Option<(f64, f64)> {
        if self.rows_left == 0 {
            return None;
        }
        let re = self.lattice.re(self.window.x0 + self.column * self.window.stride_x);
        let im = self.im;
        self.column += 1;
        if self.column == self.window.columns {
            self.column = 0;
            self.row += 1;
            self.rows_left -= 1;
            if self.rows_left > 0 {
                self.im = self.lattice.im(self.window.y0 + self.row * self.window.stride_y);
            }
        }
        Some((re, im))
    }
}
