// What Grafana's Prometheus data source makes of an answer, and what its panels make of that.

import {
  applyFieldOverrides,
  Registry,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
} from '@grafana/data';

const STANDARD = [
  'unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links',
  'color',
];
const CUSTOM = [
  'drawStyle', 'lineInterpolation', 'lineWidth', 'fillOpacity', 'gradientMode', 'showPoints',
  'pointSize', 'spanNulls', 'stacking', 'axisPlacement', 'axisLabel', 'axisSoftMin',
  'axisSoftMax', 'scaleDistribution', 'thresholdsStyle', 'hideFrom', 'barAlignment',
  'lineStyle', 'align', 'cellOptions', 'filterable', 'inspect', 'width', 'hidden',
];

const property = (isCustom) => (path) => ({
  id: isCustom ? `custom.${path}` : path,
  path,
  name: path,
  isCustom,
  process: (value) => value,
  shouldApply: () => true,
});
const properties = new Registry(() => [
  ...STANDARD.map(property(false)),
  ...CUSTOM.map(property(true)),
]);

standardTransformersRegistry.setInit(() => {
  const known = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
  return [...known.values()].map((transformation) => ({
    id: transformation.id,
    name: transformation.id,
    transformation,
    editor: () => null,
  }));
});

const NOT_FINITE = { NaN: NaN, '+Inf': Infinity, '-Inf': -Infinity };
const number = (text) => NOT_FINITE[text] ?? Number(text);

const legend = ({ legendFormat }, labels) =>
  legendFormat && legendFormat !== '__auto'
    ? legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, name) => labels[name] ?? '')
    : JSON.stringify(labels);

function table(target, answer, valueName) {
  const names = [...new Set(answer.flatMap((each) => Object.keys(each.metric)))];
  const column = (name, type, of) => ({ name, type, values: answer.map(of) });
  return toDataFrame({
    refId: target.refId,
    fields: [
      column('Time', 'time', (each) => each.value[0] * 1000),
      ...names.map((name) => column(name, 'string', (each) => each.metric[name] ?? '')),
      column(valueName, 'number', (each) => number(each.value[1])),
    ],
  });
}

function series(target, { metric, values, value }, step) {
  const points = values ?? [value];
  const name = legend(target, metric);
  return toDataFrame({
    refId: target.refId,
    name,
    fields: [
      {
        name: 'Time',
        type: 'time',
        values: points.map(([at]) => at * 1000),
        config: { interval: step * 1000 },
      },
      {
        name: 'Value',
        type: 'number',
        labels: metric,
        values: points.map(([, text]) => number(text)),
        config: { displayNameFromDS: name },
      },
    ],
  });
}

export function framesOf(panel, step) {
  return panel.targets.flatMap((target) => {
    const answer = panel.answers[target.refId] ?? [];
    if (target.format !== 'table') return answer.map((each) => series(target, each, step));
    return table(target, answer, panel.targets.length > 1 ? `Value #${target.refId}` : 'Value');
  });
}

export const overridden = (data, panel, theme) =>
  applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig,
    theme,
    timeZone: 'utc',
    replaceVariables: (text) => text,
    fieldConfigRegistry: properties,
  });
