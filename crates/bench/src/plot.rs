//! Draws the plot: attachments over time against the floor, as SVG.

use crate::floor;
use crate::phase::Piece;
use crate::results::Results;
use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, LineSeries, PathElement, RGBColor, SVGBackend, SeriesLabelPosition,
    WHITE,
};

/// One curve of the plot: seconds and ENIs.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points, in order.
    pub points: Vec<(f64, f64)>,
}

const COLOURS: [RGBColor; 6] = [
    RGBColor(120, 120, 120),
    RGBColor(0, 90, 180),
    RGBColor(200, 70, 30),
    RGBColor(30, 140, 60),
    RGBColor(140, 60, 160),
    RGBColor(180, 140, 0),
];

/// The curves of the largest fleet that was attached: for each share the floor and the result, in real time for each candidate.
pub fn curves(all: &Results) -> Vec<Curve> {
    let virtual_time = all.work.iter().map(|done| (done.piece, done.scale, "", &done.attached));
    let real_time = all.real.iter().map(|took| (took.piece, took.scale, took.candidate.as_str(), &took.attached));
    let attached: Vec<_> = virtual_time.chain(real_time).filter(|(piece, ..)| *piece == Piece::Attach).collect();
    let Some(most) = attached.iter().map(|(_, scale, ..)| scale.enis()).max() else { return Vec::new() };
    let mut curves: Vec<Curve> = Vec::new();
    for (_, scale, candidate, times) in attached.into_iter().filter(|(_, scale, ..)| scale.enis() == most) {
        let (enis, floor) = (scale.enis(), floor::seconds(scale.enis(), scale.share));
        let of = format!("{:.0} % of EC2's rate", scale.share * 100.0);
        let name = format!("floor at {of}");
        if !curves.iter().any(|curve| curve.name == name) {
            let burst = f64::from(enis).min(floor::CAPACITY);
            curves.push(Curve { name, points: vec![(0.0, 0.0), (0.0, burst), (floor, f64::from(enis))] });
        }
        let name =
            if candidate.is_empty() { format!("{scale} at {of}") } else { format!("{scale} at {of}: {candidate}") };
        curves.push(Curve { name, points: steps(times) });
    }
    curves
}

fn steps(times: &[f64]) -> Vec<(f64, f64)> {
    let numbered = times.iter().zip(1_u32..).map(|(at, count)| (*at, f64::from(count)));
    std::iter::once((0.0, 0.0)).chain(numbered).collect()
}

/// Draws the curves as SVG.
///
/// # Errors
/// If no ENI was attached, or the drawing library fails.
pub fn svg(curves: &[Curve]) -> Result<String, String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (width, height) = points().fold((0.0, 0.0), |(x, y): (f64, f64), point| (x.max(point.0), y.max(point.1)));
    if height <= 0.0 {
        return Err("no plot: nothing was attached".to_owned());
    }
    let mut text = String::new();
    draw(curves, &mut text, width.max(1.0) * 1.02, height * 1.05).map_err(|error| format!("no plot: {error}"))?;
    Ok(text)
}

fn draw(curves: &[Curve], text: &mut String, width: f64, height: f64) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, (900, 540)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("ENIs attached over time", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..width, 0.0..height)?;
    chart
        .configure_mesh()
        .x_desc("seconds from the NodeENIs' creation")
        .y_desc("ENIs attached")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_curves_and_their_names() {
        let curve = |name: &str, end: f64| Curve { name: name.to_owned(), points: vec![(0.0, 0.0), (end, 100.0)] };
        let drawn = svg(&[curve("the floor", 10.0), curve("what came of it", 12.0)]).unwrap();
        assert!(drawn.starts_with("<svg"), "{drawn}");
        for expected in ["the floor", "what came of it", "ENIs attached over time", "<polyline"] {
            assert!(drawn.contains(expected), "{expected}: {drawn}");
        }
        assert!(svg(&[]).is_err());
    }

    #[test]
    fn a_curve_counts_up() {
        assert_eq!(steps(&[1.0, 2.5]), [(0.0, 0.0), (1.0, 1.0), (2.5, 2.0)]);
    }
}
