# Elixir's side of the benchmarks: its own Registry, GenServer and DynamicSupervisor.
#
# It talks to run.py as the Python peers do (`serve` of _peer.py): a line about itself, then one line of JSON for each
# line "operation seconds batches". Each measurement runs in a process of its own, so that its heap is fresh.

defmodule Sampler do
  defstruct [:nanoseconds, :batches]

  # The nanoseconds of one operation in each batch, where run.(n) does n * each operations. Where it gives a number,
  # that is the nanoseconds that count; otherwise all of its time does.
  def samples(%{batches: :turns} = sampler, each, run) do
    n = enough(sampler.nanoseconds, run, 1)
    :erlang.garbage_collect()
    IO.puts(~s({"ready": #{n}}))
    turns(run, n, each)
  end

  def samples(sampler, each, run) do
    n = enough(sampler.nanoseconds, run, 1)

    for _ <- 1..sampler.batches do
      :erlang.garbage_collect()
      time(run, n) / (n * each)
    end
  end

  # One batch for each line "go", until another line comes: between them, others measure.
  defp turns(run, n, each) do
    case IO.gets("") do
      "go\n" ->
        IO.puts(~s({"took": #{time(run, n) / (n * each)}}))
        turns(run, n, each)

      _ ->
        []
    end
  end

  # Finding out how many it takes is the warm-up as well.
  defp enough(goal, run, n) do
    took = time(run, n)
    if took >= goal, do: n, else: enough(goal, run, min(n * 10, 1 + trunc(1.1 * n * goal / max(took, 1))))
  end

  defp time(run, n) do
    began = System.monotonic_time(:nanosecond)
    counted = run.(n)
    if is_integer(counted), do: counted, else: System.monotonic_time(:nanosecond) - began
  end
end

defmodule Server do
  use GenServer, restart: :temporary

  def start_link(options), do: GenServer.start_link(__MODULE__, nil, options)

  @impl true
  def init(_), do: {:ok, 0}

  @impl true
  def handle_call({:echo, text}, _from, casts), do: {:reply, text, casts}
  def handle_call(:count, _from, casts), do: {:reply, casts, casts}

  def handle_call({:register_and_unregister, n, registry, keys}, _from, casts) do
    Registering.run(n, registry, keys)
    {:reply, :ok, casts}
  end

  @impl true
  def handle_cast({:note, _number}, casts), do: {:noreply, casts + 1}
end

defmodule Registering do
  def run(0, _registry, _keys), do: :ok

  def run(n, registry, keys) do
    Enum.each(keys, fn key ->
      {:ok, _} = Registry.register(registry, key, nil)
      :ok = Registry.unregister(registry, key)
    end)

    run(n - 1, registry, keys)
  end
end

defmodule Subscriber do
  use GenServer, restart: :temporary

  def start_link({registry, left, main}), do: GenServer.start_link(__MODULE__, {registry, left, main})

  @impl true
  def init({registry, left, main}) do
    {:ok, _} = Registry.register(registry, "topic", nil)
    {:ok, {left, main}}
  end

  @impl true
  def handle_info(_message, state), do: down(state)

  @impl true
  def handle_cast(_message, state), do: down(state)

  defp down({left, main} = state) do
    if :atomics.sub_get(left, 1, 1) == 0, do: send(main, :done)
    {:noreply, state}
  end
end

# What poolboy does, in its simplest form: a server that hands out workers, and monitors who has them.
defmodule Pool do
  use GenServer

  def start_link(workers), do: GenServer.start_link(__MODULE__, workers)

  @impl true
  def init(workers), do: {:ok, {workers, %{}}}

  @impl true
  def handle_call(:check_out, {client, _}, {[worker | free], taken}) do
    {:reply, worker, {free, Map.put(taken, worker, Process.monitor(client))}}
  end

  @impl true
  def handle_cast({:check_in, worker}, {free, taken}) do
    {monitor, taken} = Map.pop(taken, worker)
    Process.demonitor(monitor, [:flush])
    {:noreply, {[worker | free], taken}}
  end
end

defmodule Operations do
  @actors 10_000
  @casts 10_000
  @names 1_000
  @idle 20_000
  @callers 1_000
  @calls 20
  @partitions 8

  def names, do: ~w(lookup lookup_partitions register_by_actor register_by_task call call_async call_many
                    call_many_async cast cast_inline cast_by_reference dispatch dispatch_handled dispatch_cast_handled
                    publish_one publish_hundred publish publish_handled pool_claim pool_call start_stop start_cast_stop memory memory_rss
                    audience_1 audience_100 audience_10000 audience_150000)

  defp registry(keys \\ :unique, partitions \\ 1) do
    name = :"registry #{System.unique_integer([:positive])}"
    {:ok, _} = Registry.start_link(keys: keys, name: name, partitions: partitions)
    name
  end

  defp supervisor do
    {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
    supervisor
  end

  defp keys, do: for(number <- 1..@names, do: "agent #{number}")

  def measure("lookup", sampler), do: lookup_in(registry(), sampler)
  def measure("lookup_partitions", sampler), do: lookup_in(registry(:unique, @partitions), sampler)

  def measure("register_by_actor", sampler) do
    registry = registry()
    keys = keys()
    {:ok, server} = DynamicSupervisor.start_child(supervisor(), {Server, []})

    Sampler.samples(sampler, @names, fn n ->
      GenServer.call(server, {:register_and_unregister, n, registry, keys}, :infinity)
    end)
  end

  def measure("register_by_task", sampler) do
    registry = registry()
    keys = keys()
    Sampler.samples(sampler, @names, fn n -> Registering.run(n, registry, keys) end)
  end

  def measure("call", sampler) do
    via = {:via, Registry, {registry(), "James Bond"}}
    {:ok, _} = DynamicSupervisor.start_child(supervisor(), {Server, name: via})
    Sampler.samples(sampler, 1, fn n -> call(n, via) end)
  end

  # A GenServer has one kind of handler.
  def measure("call_async", sampler), do: measure("call", sampler)

  # Each caller is a process with a server of its own.
  def measure("call_many", sampler) do
    registry = registry()
    supervisor = supervisor()

    vias =
      for number <- 1..@callers do
        via = {:via, Registry, {registry, "agent #{number}"}}
        {:ok, _} = DynamicSupervisor.start_child(supervisor, {Server, name: via})
        via
      end

    Sampler.samples(sampler, @callers * @calls, fn n ->
      vias
      |> Enum.map(fn via -> Task.async(fn -> call(n * @calls, via) end) end)
      |> Enum.each(&Task.await(&1, :infinity))
    end)
  end

  def measure("call_many_async", sampler), do: measure("call_many", sampler)

  def measure("cast", sampler) do
    via = {:via, Registry, {registry(), "James Bond"}}
    {:ok, _} = DynamicSupervisor.start_child(supervisor(), {Server, name: via})
    Sampler.samples(sampler, @casts, fn n -> casts(n, via) end)
  end

  # An address is a tuple here, and is checked by nobody.
  def measure("cast_inline", sampler) do
    registry = registry()
    {:ok, _} = DynamicSupervisor.start_child(supervisor(), {Server, name: {:via, Registry, {registry, "James Bond"}}})
    Sampler.samples(sampler, @casts, fn n -> casts_inline(n, registry) end)
  end

  def measure("cast_by_reference", sampler) do
    {:ok, server} = DynamicSupervisor.start_child(supervisor(), {Server, []})
    Sampler.samples(sampler, @casts, fn n -> casts(n, server) end)
  end

  # The call alone: when it returns, all messages are sent.
  def measure("dispatch", sampler), do: dispatch(sampler, &send(&1, "hello"), false)

  # Until the last subscriber has handled it.
  def measure("dispatch_handled", sampler), do: dispatch(sampler, &send(&1, "hello"), true)
  def measure("dispatch_cast_handled", sampler), do: dispatch(sampler, &GenServer.cast(&1, "hello"), true)

  # Elixir's own PubSub over a registry: a cast to each subscriber.
  def measure("publish_one", sampler), do: dispatch(sampler, &GenServer.cast(&1, "hello"), false, 1)
  def measure("publish_hundred", sampler), do: dispatch(sampler, &GenServer.cast(&1, "hello"), false, 100)
  def measure("publish", sampler), do: dispatch(sampler, &GenServer.cast(&1, "hello"), false)
  def measure("publish_handled", sampler), do: dispatch(sampler, &GenServer.cast(&1, "hello"), true)

  # The least nanoseconds for each subscriber: until the call returns, and until the last one has handled it.
  def measure("audience_" <> actors, sampler) do
    actors = String.to_integer(actors)
    {registry, left} = subscribe(actors)
    send_all = fn entries -> Enum.each(entries, fn {pid, _} -> GenServer.cast(pid, "hello") end) end
    n = max(1, div(20_000, actors))

    samples =
      for _ <- 1..sampler.batches do
        :erlang.garbage_collect()
        began = System.monotonic_time(:nanosecond)
        told = dispatches(n, registry, {left, actors}, send_all, 0)
        {told, System.monotonic_time(:nanosecond) - began}
      end

    {told, handled} = Enum.unzip(samples)
    [Enum.min(told) / (n * actors), Enum.min(handled) / (n * actors)]
  end

  def measure("pool_claim", sampler), do: pool(sampler, fn _ -> :ok end)
  def measure("pool_call", sampler), do: pool(sampler, &GenServer.call(&1, {:echo, "text"}))

  def measure("start_stop", sampler) do
    registry = registry()
    supervisor = supervisor()
    Sampler.samples(sampler, 1, fn n -> start_stop(n, supervisor, registry, fn _ -> :ok end) end)
  end

  def measure("start_cast_stop", sampler) do
    registry = registry()
    supervisor = supervisor()
    Sampler.samples(sampler, 1, fn n -> start_stop(n, supervisor, registry, &GenServer.cast(&1, {:note, 1})) end)
  end

  def measure("memory", _), do: idle_actors(fn -> :erlang.memory(:total) end)
  def measure("memory_rss", _), do: idle_actors(&resident/0)

  defp lookup_in(registry, sampler) do
    keys = keys()
    for key <- keys, do: {:ok, _} = Registry.register(registry, key, nil)
    Sampler.samples(sampler, @names, fn n -> lookup(n, registry, keys) end)
  end

  defp lookup(0, _, _), do: :ok

  defp lookup(n, registry, keys) do
    Enum.each(keys, fn key -> Registry.lookup(registry, key) end)
    lookup(n - 1, registry, keys)
  end

  defp call(0, _), do: :ok

  defp call(n, via) do
    GenServer.call(via, {:echo, "text"})
    call(n - 1, via)
  end

  defp casts(0, _), do: :ok

  defp casts(n, server) do
    cast(@casts, server)
    GenServer.call(server, :count, :infinity)
    casts(n - 1, server)
  end

  defp casts_inline(0, _), do: :ok

  defp casts_inline(n, registry) do
    cast_inline(@casts, registry)
    GenServer.call({:via, Registry, {registry, "James Bond"}}, :count, :infinity)
    casts_inline(n - 1, registry)
  end

  defp cast_inline(0, _), do: :ok

  defp cast_inline(n, registry) do
    GenServer.cast({:via, Registry, {registry, "James Bond"}}, {:note, n})
    cast_inline(n - 1, registry)
  end

  defp cast(0, _), do: :ok

  defp cast(n, server) do
    GenServer.cast(server, {:note, n})
    cast(n - 1, server)
  end

  defp subscribe(actors) do
    registry = registry(:duplicate)
    supervisor = supervisor()
    left = :atomics.new(1, [])

    for _ <- 1..actors do
      {:ok, _} = DynamicSupervisor.start_child(supervisor, {Subscriber, {registry, left, self()}})
    end

    {registry, left}
  end

  defp dispatch(sampler, tell, to_the_end, actors \\ @actors) do
    {registry, left} = subscribe(actors)
    send_all = fn entries -> Enum.each(entries, fn {pid, _} -> tell.(pid) end) end

    Sampler.samples(sampler, actors, fn n ->
      counted = dispatches(n, registry, {left, actors}, send_all, 0)
      if to_the_end, do: nil, else: counted
    end)
  end

  defp dispatches(0, _, _, _, counted), do: counted

  defp dispatches(n, registry, {left, actors} = goal, send_all, counted) do
    :atomics.put(left, 1, actors)
    began = System.monotonic_time(:nanosecond)
    Registry.dispatch(registry, "topic", send_all)
    took = System.monotonic_time(:nanosecond) - began

    receive do
      :done -> :ok
    end

    dispatches(n - 1, registry, goal, send_all, counted + took)
  end

  defp pool(sampler, work) do
    supervisor = supervisor()

    workers =
      for _ <- 1..8 do
        {:ok, worker} = DynamicSupervisor.start_child(supervisor, {Server, []})
        worker
      end

    {:ok, pool} = Pool.start_link(workers)
    samples = Sampler.samples(sampler, 1, fn n -> claims(n, pool, work) end)
    GenServer.stop(pool)
    samples
  end

  defp claims(0, _, _), do: :ok

  defp claims(n, pool, work) do
    worker = GenServer.call(pool, :check_out)
    work.(worker)
    GenServer.cast(pool, {:check_in, worker})
    claims(n - 1, pool, work)
  end

  defp start_stop(0, _, _, _), do: :ok

  defp start_stop(n, supervisor, registry, meanwhile) do
    name = "agent #{System.unique_integer([:positive])}"
    {:ok, server} = DynamicSupervisor.start_child(supervisor, {Server, name: {:via, Registry, {registry, name}}})
    meanwhile.(server)
    GenServer.stop(server)
    start_stop(n - 1, supervisor, registry, meanwhile)
  end

  defp idle_actors(used) do
    registry = registry()
    supervisor = supervisor()
    {:ok, _} = DynamicSupervisor.start_child(supervisor, {Server, name: {:via, Registry, {registry, "warm-up"}}})
    collect([registry, supervisor])
    before = used.()

    for number <- 1..@idle do
      name = {:via, Registry, {registry, "agent #{number}"}}
      {:ok, _} = DynamicSupervisor.start_child(supervisor, {Server, name: name})
    end

    collect([registry, supervisor])
    [(used.() - before) / @idle]
  end

  defp collect(others) do
    for other <- [self() | others] do
      pid = if is_atom(other), do: Process.whereis(other), else: other
      :erlang.garbage_collect(pid)
    end
  end

  # The bytes of memory that the virtual machine has in RAM.
  defp resident do
    status = File.read!("/proc/self/status")
    [_, kilobytes] = Regex.run(~r/VmRSS:\s+(\d+) kB/, status)
    String.to_integer(kilobytes) * 1024
  end
end

defmodule Peer do
  def serve do
    names = if File.exists?("/proc/self/status"), do: Operations.names(), else: Operations.names() -- ["memory_rss"]
    operations = Enum.map_join(names, ", ", &~s("#{&1}"))
    about = ~s("elixir": "#{System.version()}", "otp": "#{System.otp_release()}")
    IO.puts(~s({"about": {#{about}}, "operations": [#{operations}]}))
    answer(IO.gets(""), length(Process.list()))
  end

  defp answer(:eof, _), do: :ok

  defp answer(line, processes) do
    [name, seconds, batches] = String.split(line)
    {seconds, _} = Float.parse(seconds)
    sampler = %Sampler{nanoseconds: seconds * 1.0e9, batches: if(batches == "turns", do: :turns, else: String.to_integer(batches))}
    samples = Task.await(Task.async(fn -> Operations.measure(name, sampler) end), :infinity)
    # (After these, the process is ended as soon as it has answered.)
    unless String.starts_with?(name, ["memory", "audience"]), do: wait_until_gone(processes)
    IO.puts(~s({"samples": [#{Enum.map_join(samples, ", ", &Float.to_string/1)}]}))
    answer(IO.gets(""), processes)
  end

  # What a measurement has started ends with its process, but not at once: the next peer should not feel it.
  defp wait_until_gone(processes) do
    if length(Process.list()) > processes do
      Process.sleep(1)
      wait_until_gone(processes)
    end
  end
end

Peer.serve()
