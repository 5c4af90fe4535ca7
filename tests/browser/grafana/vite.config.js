// Grafana's packages expect a few things of the page that Grafana itself brings.
export default {
  base: './',
  esbuild: { jsx: 'automatic' },
  define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', global: 'window' },
  build: { minify: false, chunkSizeWarningLimit: 100000 },
};
