// Records a program: functions called on a Recorder append dispatches, and push each op's backward
// onto a tape that lives only meanwhile.
import type { Kernel } from '../gpu/kernel.ts';
import type { Variants } from '../gpu/variants.ts';
import { invariant } from '../util/error.ts';
import type { ParamStore } from './params.ts';
import { fold, inParts, MAX_WORKGROUPS, MOST_FLOPS } from './parts.ts';
import { sizeOf, type Tensor, tensor } from './tensor.ts';

/** One kernel launch with symbolic operands. */
export interface Dispatch {
  type: 'dispatch';
  kernel: Kernel;
  /** In the order of the kernel's bindings. */
  tensors: readonly Tensor[];
  params: Readonly<Record<string, number>>;
  workgroups: readonly [number, number, number];
  flops: number;
  label: string;
  /** A long launch in several, which do the same to the last bit; none where it is not cut. */
  parts: readonly Dispatch[];
}

/** Zeroes a whole tensor. */
export interface Clear {
  type: 'clear';
  tensor: Tensor;
}

/** Copies a whole tensor over another of its size. */
export interface Copy {
  type: 'copy';
  from: Tensor;
  to: Tensor;
}

/** A step of a program. */
export type Command = Dispatch | Clear | Copy;

/** The tensors that a command touches. */
export const operandsOf = (c: Command): readonly Tensor[] =>
  c.type === 'dispatch' ? c.tensors : c.type === 'clear' ? [c.tensor] : [c.from, c.to];

/** The launches of a command: the whole one, then its parts. */
export const launchesOf = (c: Command): readonly Dispatch[] =>
  c.type === 'dispatch' ? [c, ...c.parts] : [];

/**
 * What a kernel launch needs. `workgroups` counts them in one dimension (folded to two when many)
 * or gives all three.
 */
export interface Launch {
  kernel: Kernel;
  tensors: Record<string, Tensor>;
  params?: Record<string, number>;
  /** Threads of a flat grid, or workgroups: in one dimension (folded to two when many), or three. */
  threads?: number;
  workgroups?: number | readonly [number, number, number];
  flops?: number;
  label?: string;
  /** Whether work falls along x, where the launch can be cut (graph/parts.ts). */
  falling?: boolean;
}

/** What a backward pass is for. */
export interface BackwardPass {
  /** The stores whose parameters get gradients; null: all of them. */
  into: readonly ParamStore[] | null;
  /** Whether losses beside the model's own, such as the balance loss, take part. */
  auxiliary: boolean;
}

const EVERYTHING: BackwardPass = { into: null, auxiliary: true };

/** Threads of a workgroup in a flat grid (shaders/lib/grid.wgsl). */
export const THREADS = 64;
/** The recording of one program. */
export class Recorder {
  readonly commands: Command[] = [];
  private tape: (() => void)[] = [];
  private grads = new Map<Tensor, Tensor>();
  /** Shared gradient buffers, by the shared buffers of their tensors. */
  private readonly wholes = new Map<Tensor, Tensor>();
  /** The gradients that the forward pass left; each backward pass begins from them. */
  private before: Map<Tensor, Tensor> | null = null;
  private pass: BackwardPass = EVERYTHING;
  private replays = 0;

  /**
   * @param variants the kernel variants that ops choose by
   * @param training whether ops push their backward onto the tape
   * @param mostFlops of a launch in one piece
   */
  constructor(
    readonly variants: Variants,
    readonly training: boolean,
    private readonly mostFlops = MOST_FLOPS,
  ) {}

  /**
   * True while a checkpointed block is being recorded a second time: statistics are not written
   * again.
   */
  get recomputing(): boolean {
    return this.replays > 0;
  }

  /** Appends a kernel launch, checking its operands against the kernel's own declaration. */
  launch({ kernel, tensors, params = {}, flops = 0, label, ...size }: Launch): void {
    const operands = kernel.bindings.map((b) => {
      const t = tensors[b.name];
      invariant(t, `${kernel.name}: no tensor for binding ${b.name}`);
      invariant(
        b.access === 'read' || (t.kind !== 'weight' && t.kind !== 'constant'),
        `${kernel.name}: ${t.name} is read-only`,
      );
      return t;
    });
    const extra = Object.keys(tensors).find((n) => !kernel.bindings.some((b) => b.name === n));
    invariant(extra === undefined, `${kernel.name}: no binding ${extra}`);
    const groups = size.workgroups ?? Math.ceil((size.threads ?? 1) / THREADS);
    const grid = typeof groups === 'number' ? fold(groups) : groups;
    invariant(
      grid.every((g) => g >= 1 && g <= MAX_WORKGROUPS),
      `${kernel.name}: grid ${grid}`,
    );
    const launch: Dispatch = {
      type: 'dispatch',
      kernel,
      tensors: operands,
      params,
      workgroups: grid,
      flops,
      label: label ?? kernel.name,
      parts: [],
    };
    const [whole, ...parts] = inParts(launch, groups, size.falling ?? false, this.mostFlops);
    this.commands.push({ ...whole, parts });
  }

  /** Zeroes a tensor at this point of the program. */
  clear(t: Tensor): void {
    this.commands.push({ type: 'clear', tensor: t });
  }

  /** Copies a tensor over another of the same size at this point of the program. */
  copy(from: Tensor, to: Tensor): void {
    invariant(sizeOf(from) === sizeOf(to), `copy of ${from.name} to ${to.name}: sizes differ`);
    this.commands.push({ type: 'copy', from, to });
  }

  /** Pushes an op's backward; it runs, in reverse order, while `backward` records. */
  onBackward(fn: () => void): void {
    if (this.training) this.tape.push(fn);
  }

  /** Whether the backward pass that is being recorded wants ∂L/∂t. */
  wants(t: Tensor): boolean {
    const { into } = this.pass;
    return t.kind === 'param' ? !into || into.some((store) => store.has(t)) : t.requiresGrad;
  }

  /** Whether the backward pass that is being recorded takes the auxiliary losses along. */
  get auxiliary(): boolean {
    return this.pass.auxiliary;
  }

  /** The gradient recorded so far for an activation, if any. */
  gradOf(t: Tensor): Tensor | undefined {
    return this.grads.get(t);
  }

  /** The tensor into which an op's backward writes ∂L/∂t, and whether to add to what is there. */
  gradTarget(t: Tensor): { grad: Tensor; accumulate: 0 | 1 } {
    if (t.gradient) return { grad: t.gradient, accumulate: 1 };
    const known = this.grads.get(t);
    if (known) return { grad: known, accumulate: 1 };
    const within = t.within && this.gradWhole(t.within);
    const grad = tensor(`d ${t.name}`, t.shape, { within, offset: t.offset });
    this.grads.set(t, grad);
    return { grad, accumulate: 0 };
  }

  private gradWhole(of: Tensor): Tensor {
    const grad = this.wholes.get(of) ?? tensor(`d ${of.name}`, of.shape);
    this.wholes.set(of, grad);
    return grad;
  }

  /**
   * Hands ∂L/∂out on to an operand that has none yet, without a copy. Sound where every reader of
   * the alias is recorded before the next writer, as in a pre-norm residual stream.
   */
  aliasGrad(t: Tensor, grad: Tensor): boolean {
    if (this.grads.has(t)) return false;
    invariant(sizeOf(t) === sizeOf(grad), `gradient of ${t.name} has another size`);
    this.grads.set(t, grad);
    return true;
  }

  /**
   * Records a backward pass of everything on the tape. The tape and the gradients from before stay
   * as they were, so that another pass can follow from the same forward one.
   */
  backward(pass: Partial<BackwardPass> = {}): void {
    this.before ??= new Map(this.grads);
    this.grads = new Map(this.before);
    this.wholes.clear();
    this.pass = { ...EVERYTHING, ...pass };
    this.unwind(this.tape);
    this.pass = EVERYTHING;
  }

  private unwind(tape: readonly (() => void)[]): void {
    for (let i = tape.length - 1; i >= 0; i--) tape[i]();
  }

  /**
   * Records `block` so that its activations are not kept: during the backward pass it is recorded
   * again, just before its own backward.
   * @param block a function of its inputs that returns one tensor
   */
  checkpoint(block: () => Tensor): Tensor {
    if (!this.training) return block();
    const outer = this.tape;
    this.tape = [];
    const out = block();
    this.tape = outer;
    this.onBackward(() => {
      const grad = this.grads.get(out);
      if (!grad) return;
      this.replays++;
      const { tape } = this;
      this.tape = [];
      this.grads.set(block(), grad);
      const inner = this.tape;
      this.tape = tape;
      this.replays--;
      this.unwind(inner);
    });
    return out;
  }
}
