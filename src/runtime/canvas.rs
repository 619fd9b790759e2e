//! Photos of many sizes on a GPU.
//!
//! ONNX Runtime's CUDA provider makes a plan for every convolution, by cuDNN's rules and without trying, and keeps
//! it for the last shape only: a photo of another size means some 50 plans, which takes longer than computing the
//! maps of a photo. So the CAM network, which is fed a photo at several scales,
//!
//! * gets photos on canvases of few sizes, which changes nothing inside them (see [`irn_export::padded`]),
//! * has a session for each scale, and the shape that a session had last goes to it again, and
//! * gets photos of one size after another, see [`crate::stage::compute`].
//!
//! IRNet needs none of it: its photos are padded to 512, or to a multiple of 16, as in the original.

use irn_export::Session;
use ndarray::{Array4, ArrayView4, s};

/// Side of the canvas for a side of a photo: steps of an eighth or less from 512 on.
pub fn canvas(side: usize) -> usize {
    let step = match side {
        ..513 => 64,
        513..1025 => 128,
        _ => 256,
    };
    side.next_multiple_of(step)
}

/// The photos `(batch, 3, h, w)` in the upper left corners of canvases, with the channel that says where they
/// are, `(batch, 4, canvas(h), canvas(w))`.
pub(super) fn on_canvas(photos: ArrayView4<'_, f32>) -> Array4<f32> {
    let (n, _, h, w) = photos.dim();
    let mut padded = Array4::zeros((n, 4, canvas(h), canvas(w)));
    padded.slice_mut(s![.., ..3, ..h, ..w]).assign(&photos);
    padded.slice_mut(s![.., 3, ..h, ..w]).fill(1.0);
    padded
}

/// Sessions on one model, each with the shape that it ran last, the latest first. Never empty.
pub(super) struct Shapes {
    sessions: Vec<(Vec<usize>, Session)>,
}

impl Shapes {
    pub(super) fn new(sessions: Vec<Session>) -> Self {
        Self { sessions: sessions.into_iter().map(|session| (Vec::new(), session)).collect() }
    }

    /// The session that ran this shape last, or the one that has not been used for longest.
    pub(super) fn session(&mut self, shape: &[usize]) -> &mut Session {
        let last = self.sessions.len() - 1;
        let at = place(self.sessions.iter().map(|(known, _)| &**known), shape).unwrap_or(last);
        self.sessions[..=at].rotate_right(1);
        let (known, session) = &mut self.sessions[0];
        *known = shape.to_vec();
        session
    }
}

fn place<'a>(mut known: impl Iterator<Item = &'a [usize]>, shape: &[usize]) -> Option<usize> {
    known.position(|known| known == shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voc_photos_at_four_scales_need_few_canvases() {
        assert_eq!(
            [1, 64, 65, 375, 500, 563, 1000, 1030].map(canvas),
            [64, 64, 128, 384, 512, 640, 1024, 1280]
        );
        let photos = Array4::from_elem((2, 3, 70, 30), 2f32);
        let padded = on_canvas(photos.view());
        assert_eq!(padded.dim(), (2, 4, 128, 64));
        assert_eq!(padded.sum(), (2 * 70 * 30 * 7) as f32);
        assert_eq!((padded[[1, 3, 69, 29]], padded[[1, 3, 70, 29]]), (1.0, 0.0));
    }
}
