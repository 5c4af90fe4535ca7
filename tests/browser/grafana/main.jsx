// Draws a dashboard with Grafana's own widgets, from answers that a real Prometheus gave. The page
// around them (Grafana's application) is not there; neither are annotations and state timelines.

import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  createTheme,
  dateTime,
  getFieldDisplayValues,
  ThemeContext,
  transformDataFrame,
} from '@grafana/data';
import { BigValue, PanelChrome, Table, TimeSeries } from '@grafana/ui';
import { framesOf, overridden } from './frames.js';

const CELL = 1536 / 24;
const ROW = 38;
const GAP = 8;
const theme = createTheme({ colors: { mode: 'dark' } });

function Lines({ panel, data, size, drawing }) {
  const [from, to] = [dateTime(drawing.from * 1000), dateTime(drawing.to * 1000)];
  return (
    <TimeSeries
      {...size}
      frames={data}
      timeRange={{ from, to, raw: { from, to } }}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
      structureRev={1}
    />
  );
}

function Numbers({ panel, data, size }) {
  const { fieldConfig, options } = panel;
  const shown = getFieldDisplayValues({
    fieldConfig,
    reduceOptions: options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data,
    timeZone: 'utc',
  });
  return (
    <div style={{ display: 'flex' }}>
      {shown.map(({ display }, index) => (
        <BigValue
          key={index}
          value={display}
          width={Math.floor(size.width / shown.length)}
          height={size.height}
          theme={theme}
          colorMode={options.colorMode}
          graphMode="none"
          textMode={options.textMode}
        />
      ))}
    </div>
  );
}

const Rows = ({ data, size }) => <Table {...size} data={data[0]} />;
const WIDGETS = { timeseries: Lines, stat: Numbers, table: Rows };

function Inside({ panel, size, drawing }) {
  const [data, setData] = React.useState(null);
  React.useEffect(() => {
    const frames = framesOf(panel, drawing.step);
    const ready = transformDataFrame(panel.transformations ?? [], frames).subscribe((all) =>
      setData(overridden(all, panel, theme)),
    );
    return () => ready.unsubscribe();
  }, [panel, drawing]);
  const Widget = WIDGETS[panel.type];
  if (!Widget) return <p className="other">No widget for {panel.type}</p>;
  if (!data) return null;
  if (data.every((frame) => !frame.length))
    return <p className="empty">{panel.fieldConfig.defaults.noValue ?? 'No data'}</p>;
  return <Widget panel={panel} data={data} size={size} drawing={drawing} />;
}

class Shield extends React.Component {
  state = {};
  static getDerivedStateFromError = (error) => ({ error });
  render() {
    const { error } = this.state;
    return error ? <p className="broken">{String(error.stack)}</p> : this.props.children;
  }
}

function placeOf({ x, y, w, h }) {
  const size = { width: w * CELL - GAP, height: h * ROW - GAP };
  return { size, style: { position: 'absolute', left: x * CELL, top: y * ROW, ...size } };
}

function Board({ drawing }) {
  const { panels } = drawing.board;
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <div id="board" style={{ position: 'relative', width: 24 * CELL, height: bottom * ROW }}>
      {panels.map((panel) => {
        const { style, size } = placeOf(panel.gridPos);
        if (panel.type === 'row')
          return (
            <h3 key={panel.id} style={style}>
              {panel.title}
            </h3>
          );
        return (
          <div key={panel.id} style={style} data-panel={panel.title} data-type={panel.type}>
            <PanelChrome {...size} title={panel.title}>
              {(width, height) => (
                <Shield>
                  <Inside panel={panel} size={{ width, height }} drawing={drawing} />
                </Shield>
              )}
            </PanelChrome>
          </div>
        );
      })}
    </div>
  );
}

window.draw = (drawing) => {
  const { background, text } = theme.colors;
  const style = document.createElement('style');
  style.textContent = `
    * { box-sizing: border-box }
    body { margin: 16px; background: ${background.canvas}; color: ${text.primary};
      font: 14px Inter, Helvetica, Arial, sans-serif }
    h3 { margin: 8px 0 0; font-size: 16px; font-weight: 500 }
    ul { list-style: none; margin: 0; padding: 0 }
    button { background: none; border: 0; color: inherit; font: inherit }
    .empty, .other { padding: 0 16px; color: ${text.secondary} }
    .broken { color: #f55; white-space: pre-wrap; font-size: 10px }`;
  document.head.append(style);
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <Board drawing={drawing} />
    </ThemeContext.Provider>,
  );
};
