// Taking the adapter home: the zip is built, re-opened and compared before it is offered.
import { methodOf } from '../../adapters/methods/methods.ts';
import { hasAdapter } from '../../state/run.ts';
import { prepareExport } from '../commands/prepare-export.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Progress } from '../shared/controls.tsx';
import { bytes, whole } from '../shared/format.ts';
import { CheckIcon, DownloadIcon } from '../shared/icons.tsx';
import { Missing, Section } from '../shared/Section.tsx';

const about: Record<string, string> = {
  'adapter/adapter_model.safetensors': 'the adapter’s tensors',
  'adapter/adapter_config.json': 'the adapter’s configuration',
  'config.json': 'every setting of the run',
  'metrics.jsonl': 'loss and more, one line per step',
  'allocation/expert.json': 'experts of every linear',
  'allocation/rank.json': 'rank of every expert or linear',
  'gsv.jsonl': 'how the allocation changed, one line per search step',
};

export function ExportSection() {
  const run = useApp((s) => s.run);
  const { status, report, url } = useApp((s) => s.exported);
  const method = run.report?.config.adapter.method;
  return (
    <Section
      id="export"
      title="Export"
      lead={
        method && methodOf(method).file.type === 'LORA'
          ? 'A zip with the adapter exactly as Hugging Face PEFT writes it, and the run’s records.'
          : 'A zip with the adapter’s files and the run’s records.'
      }
    >
      {!hasAdapter(run) ? (
        <Missing>
          There is no adapter yet:{' '}
          <a className="link" href="#train">
            train one
          </a>
          {run.phase === 'training' && ', or pause the run'}.
        </Missing>
      ) : (
        <div className="flex flex-col gap-5">
          {status === 'busy' && <Progress label="Writing, re-opening and comparing" />}
          {status === 'ready' && report && (
            <div className="rounded-xl border border-line p-5">
              <p className="mb-3 flex gap-2">
                <span className="mt-0.5 text-accent">
                  <CheckIcon />
                </span>
                <span>
                  Re-opened and compared: all {whole(report.tensors)} tensors match those on the
                  device after step {report.step} bit for bit.
                </span>
              </p>
              <table className="table mb-5">
                <thead className="sr-only">
                  <tr>
                    <th scope="col">File</th>
                    <th scope="col">Content</th>
                    <th scope="col">Size</th>
                  </tr>
                </thead>
                <tbody>
                  {report.files.map((file) => (
                    <tr key={file.name}>
                      <th scope="row" className="font-mono !font-normal break-all !text-ink">
                        {file.name}
                      </th>
                      <td className="hidden text-muted sm:table-cell">{about[file.name]}</td>
                      <td className="text-right whitespace-nowrap tabular-nums">
                        {bytes(file.bytes)}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              <a
                className="btn btn-primary"
                href={url}
                download={report.name}
                data-testid="download"
              >
                <DownloadIcon />
                Download {report.name}
              </a>
            </div>
          )}
          <CommandButton
            command={prepareExport}
            className="w-fit"
            look={status === 'none' ? 'primary' : ''}
            icon={<DownloadIcon />}
          />
        </div>
      )}
    </Section>
  );
}
